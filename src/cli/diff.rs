//! What is different between two texts, line by line.

use std::iter;

/// Lines around a difference that are shown with it.
const AROUND: usize = 3;
/// The most pairs of lines that are compared; beyond, everything in between is told as replaced.
const PAIRS_MAX: usize = 4_000_000;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// It is in both.
    Both(&'a str),
    /// It is gone.
    Gone(&'a str),
    /// It is new.
    New(&'a str),
}

impl Line<'_> {
    const fn is_both(self) -> bool {
        matches!(self, Line::Both(_))
    }
}

/// Every line of two texts, in one order.
pub fn lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let head = iter::zip(&before, &after).take_while(|(a, b)| a == b).count();
    let (same, before) = before.split_at_checked(head).unwrap_or_default();
    let after = after.get(head..).unwrap_or_default();
    let tail = iter::zip(before.iter().rev(), after.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let (before, end) =
        before.split_at_checked(before.len().saturating_sub(tail)).unwrap_or_default();
    let after = after.get(..after.len().saturating_sub(tail)).unwrap_or_default();
    let middle = between(before, after);
    let both = |lines: &[&'a str]| lines.iter().map(|line| Line::Both(line)).collect::<Vec<_>>();
    both(same).into_iter().chain(middle).chain(both(end)).collect()
}

/// A longest common subsequence, and what stands around it.
fn between<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    if before.len().saturating_mul(after.len()) > PAIRS_MAX {
        let gone = before.iter().map(|line| Line::Gone(line));
        return gone.chain(after.iter().map(|line| Line::New(line))).collect();
    }
    let table = common(before, after);
    let length =
        |i: usize, j: usize| table.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
    let (mut i, mut j) = (0_usize, 0_usize);
    let mut lines = Vec::new();
    loop {
        let (next_i, next_j) = (i.saturating_add(1), j.saturating_add(1));
        match (before.get(i), after.get(j)) {
            (None, None) => return lines,
            (Some(old), Some(new)) if old == new => {
                lines.push(Line::Both(old));
                (i, j) = (next_i, next_j);
            }
            (Some(old), new) if new.is_none() || length(next_i, j) >= length(i, next_j) => {
                lines.push(Line::Gone(old));
                i = next_i;
            }
            (_, new) => {
                lines.extend(new.map(|new| Line::New(new)));
                j = next_j;
            }
        }
    }
}

/// For each pair of places, how long the longest common subsequence behind them is.
fn common(before: &[&str], after: &[&str]) -> Vec<Vec<u32>> {
    let mut below = vec![0_u32; after.len().saturating_add(1)];
    let mut table = vec![below.clone()];
    for old in before.iter().rev() {
        let mut right = 0;
        let mut row = vec![0];
        let pairs = after.iter().zip(iter::zip(&below, below.iter().skip(1)));
        for (new, (down, across)) in pairs.rev() {
            right = if old == new { across.saturating_add(1) } else { right.max(*down) };
            row.push(right);
        }
        row.reverse();
        below.clone_from(&row);
        table.push(row);
    }
    table.reverse();
    table
}

/// The differences with what stands around them; `None` is a gap.
pub fn hunks<'a>(lines: &[Line<'a>]) -> Vec<Option<Line<'a>>> {
    let is_near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let around =
            lines.iter().skip(from).take(at.saturating_sub(from).saturating_add(AROUND + 1));
        around.into_iter().any(|line| !line.is_both())
    };
    let mut shown: Vec<Option<Line<'a>>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if is_near(at) {
            shown.push(Some(*line));
        } else if shown.last().is_some_and(Option::is_some) {
            shown.push(None);
        }
    }
    if shown.last().is_some_and(Option::is_none) {
        shown.pop();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let line = |line: &Option<Line<'_>>| match line {
            None => "…".to_owned(),
            Some(Line::Both(text)) => format!(" {text}"),
            Some(Line::Gone(text)) => format!("-{text}"),
            Some(Line::New(text)) => format!("+{text}"),
        };
        hunks(&lines(before, after)).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_the_same_is_left_out() {
        assert_eq!(told("a\nb\nc", "a\nb\nc"), "");
        assert_eq!(told("", "a\nb"), "+a\n+b");
        assert_eq!(told("a\nb", ""), "-a\n-b");
        let twenty: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let mut other = twenty.clone();
        other[1] = "x".to_owned();
        other[15] = "y".to_owned();
        let expected = " 0\n-1\n+x\n 2\n 3\n 4\n…\n 12\n 13\n 14\n-15\n+y\n 16\n 17\n 18";
        assert_eq!(told(&twenty.join("\n"), &other.join("\n")), expected);
    }

    #[test]
    fn both_texts_can_be_read_out_of_it_and_no_line_is_told_needlessly() {
        for (before, after, different) in [
            ("a\nb\nc\nd", "b\nx\nd\ne", 4),
            ("a\na\na", "a", 2),
            ("x\ny", "y\nx", 2),
            ("1\n2\n3", "3\n2\n1", 4),
        ] {
            let lines = lines(before, after);
            let side = |keep: fn(&Line<'_>) -> bool| {
                let text = |line: &Line<'_>| match *line {
                    Line::Both(text) | Line::Gone(text) | Line::New(text) => text.to_owned(),
                };
                lines.iter().filter(|line| keep(line)).map(text).collect::<Vec<_>>().join("\n")
            };
            assert_eq!(side(|line| !matches!(line, Line::New(_))), before);
            assert_eq!(side(|line| !matches!(line, Line::Gone(_))), after);
            assert_eq!(lines.iter().filter(|line| !line.is_both()).count(), different, "{before}");
        }
    }
}
