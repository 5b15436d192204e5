//! The narrator: plain text that reads well at 100 columns, with colours only on a terminal. It
//! says what happened and whether that is what must happen; it does not make anything happen.

use std::io::Write;

/// The width that every line keeps to, where its words allow.
const WIDTH: usize = 100;
/// How far everything below a scene's title is indented.
const INDENT: usize = 3;
/// Where the text of a labelled row begins.
const COLUMN: usize = 13;

/// Tells the story, and counts what came out wrong.
pub struct Narrator<'a> {
    out: &'a mut (dyn Write + Send),
    colour: bool,
    scenes: u32,
    steps: u32,
    wrong: u32,
}

/// What a line is about; on a terminal also its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// A title.
    Title,
    /// Something was granted or allowed.
    Granted,
    /// Something was refused or denied.
    Refused,
    /// Something that needs a second look.
    Warning,
    /// Anything else.
    Plain,
}

impl Mood {
    const fn code(self) -> &'static str {
        match self {
            Mood::Title => "1",
            Mood::Granted => "32",
            Mood::Refused => "31",
            Mood::Warning => "33",
            Mood::Plain => "",
        }
    }
}

impl<'a> Narrator<'a> {
    /// A narrator who writes to `out`.
    pub fn new(out: &'a mut (dyn Write + Send), colour: bool) -> Narrator<'a> {
        Narrator { out, colour, scenes: 0, steps: 0, wrong: 0 }
    }

    /// A line over everything.
    pub fn title(&mut self, text: &str) {
        self.line(Mood::Title, text);
    }

    /// Begins the next scene.
    pub fn scene(&mut self, title: &str) {
        self.scenes = self.scenes.saturating_add(1);
        self.gap();
        let title = format!("{}. {title}", self.scenes);
        self.line(Mood::Title, &title);
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.line(Mood::Plain, "");
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str) {
        for line in wrapped(text, WIDTH.saturating_sub(INDENT)) {
            self.line(Mood::Plain, &format!("{:INDENT$}{line}", ""));
        }
    }

    /// A labelled row; more lines stand below its text.
    pub fn row(&mut self, mood: Mood, label: &str, text: &str) {
        let mut label = label;
        for line in
            text.lines().flat_map(|line| wrapped(line, WIDTH.saturating_sub(COLUMN + INDENT)))
        {
            self.line(mood, &format!("{:INDENT$}{label:COLUMN$}{line}", ""));
            label = "";
        }
    }

    /// Draws who acts for whom, and where.
    pub fn chain(&mut self, links: &[String], at: &str) {
        self.row(Mood::Plain, "chain", &format!("{}  ⟶  {at}", names(links)));
    }

    /// A line as it is, for things to be copied.
    pub fn verbatim(&mut self, text: &str) {
        self.line(Mood::Plain, text);
    }

    /// Checks one step. What came out differently is said at once and spoils the ending.
    pub fn check(&mut self, came_true: bool, expected: &str) {
        self.steps = self.steps.saturating_add(1);
        if !came_true {
            self.wrong = self.wrong.saturating_add(1);
            self.row(Mood::Warning, "!! WRONG", &format!("expected: {expected}"));
        }
    }

    /// How many steps were checked, and how many of them came out wrong.
    pub const fn score(&self) -> (u32, u32) {
        (self.steps, self.wrong)
    }

    fn line(&mut self, mood: Mood, text: &str) {
        let text = text.trim_end();
        // A reader that went away is no reason to leave the story half done.
        let _ = match mood.code() {
            code if self.colour && !code.is_empty() => {
                writeln!(self.out, "\u{1b}[{code}m{text}\u{1b}[0m")
            }
            _ => writeln!(self.out, "{text}"),
        };
        let _ = self.out.flush();
    }
}

/// `alice → support-agent → billing-agent`: client ids without their prefix.
pub fn names(links: &[impl AsRef<str>]) -> String {
    let plain = |link: &str| link.strip_prefix("cl_").unwrap_or(link).to_owned();
    links.iter().map(|link| plain(link.as_ref())).collect::<Vec<_>>().join(" → ")
}

/// Breaks a text between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { continue };
        let length = line.chars().count().saturating_add(word.chars().count());
        if line.is_empty() {
            line.push_str(word);
        } else if length < width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tell: impl FnOnce(&mut Narrator<'_>)) -> String {
        let mut out = Vec::new();
        tell(&mut Narrator::new(&mut out, false));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_line_of_words_is_wider_than_the_page() {
        let text = "a few words and then some more ".repeat(20);
        let page = told(|n| {
            n.say(&text);
            n.row(Mood::Plain, "label", &text);
        });
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
    }

    #[test]
    fn a_chain_is_drawn_from_the_person_to_the_server() {
        let links = ["alice", "cl_support-agent", "cl_billing-agent"].map(str::to_owned);
        let page = told(|n| n.chain(&links, "refunds"));
        assert!(page.contains("alice → support-agent → billing-agent  ⟶  refunds"), "{page}");
    }

    #[test]
    fn a_step_that_came_out_differently_is_said_and_counted() {
        let mut out = Vec::new();
        let mut narrator = Narrator::new(&mut out, false);
        narrator.check(true, "this");
        narrator.check(false, "that");
        assert_eq!(narrator.score(), (2, 1));
        assert!(String::from_utf8(out).unwrap().contains("expected: that"));
    }

    #[test]
    fn colours_are_for_terminals_only() {
        assert!(!told(|n| n.title("Deputy")).contains('\u{1b}'));
    }
}
