//! The one place that prints: lines and tables to standard output, trouble to standard error.

use std::io::{self, Write};

/// Where a command's words go.
pub struct Out {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Out {
    /// The standard streams.
    pub fn standard() -> Out {
        Out { out: Box::new(io::stdout()), err: Box::new(io::stderr()) }
    }

    /// Any two writers.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Out {
        Out { out, err }
    }

    /// One line. A reader that has gone (`| head`) is no error of ours.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", printable(text));
    }

    /// Text as it is, such as JSON.
    pub fn raw(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }

    /// A piece of a file as it is.
    pub fn bytes(&mut self, piece: &[u8]) -> io::Result<()> {
        self.out.write_all(piece)
    }

    /// One line of trouble.
    pub fn trouble(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", printable(text));
    }

    /// Rows under their headings, each column as wide as its widest cell.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        for line in table(headings, rows) {
            self.line(&line);
        }
    }
}

/// Names and reasons come from elsewhere: a control character would let them write on the
/// operator's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let heading: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&heading).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&heading).chain(rows).map(line).collect()
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Out")
    }
}
