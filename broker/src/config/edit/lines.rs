//! Text as lines that can be put between and into others; line endings stay as they are.

use super::places::Place;

pub(super) struct Lines<'a> {
    lines: Vec<&'a str>,
    ending: &'static str,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { lines: text.split_inclusive('\n').collect(), ending }
    }

    /// The column of the dash of the block entry whose content begins at `place`; `None` where there is none.
    pub(super) fn dash(&self, place: Place) -> Option<usize> {
        let before: String = self.lines.get(place.line)?.chars().take(place.column).collect();
        let column = before.find('-')?;
        (before.trim() == "-" && before[..column].bytes().all(|b| b == b' ')).then_some(column)
    }

    /// The line after the block entry that begins at `line` with a dash at column `dash`: after its last line and the
    /// comments indented as part of it.
    pub(super) fn end_of_entry(&self, line: usize, dash: usize) -> usize {
        let mut end = line + 1;
        for (n, text) in self.lines.iter().enumerate().skip(line + 1) {
            let content = text.trim_start_matches(' ');
            if content.trim().is_empty() {
                continue;
            }
            if text.len() - content.len() <= dash {
                break;
            }
            end = n + 1;
        }
        end
    }

    /// With whole lines put in before `line`, each indented by `indent` columns.
    pub(super) fn with_lines(&self, line: usize, indent: usize, new: &[String]) -> String {
        let mut text = self.lines[..line.min(self.lines.len())].concat();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(self.ending);
        }
        for added in new {
            text.extend([" ".repeat(indent).as_str(), added, self.ending]);
        }
        text + &self.lines[line.min(self.lines.len())..].concat()
    }

    /// With `new` put in at `place`.
    pub(super) fn with(&self, place: Place, new: &str) -> Option<String> {
        self.replaced(place, 0, new)
    }

    /// With `length` characters from `place` on replaced by `new`.
    pub(super) fn replaced(&self, place: Place, length: usize, new: &str) -> Option<String> {
        let line = self.lines.get(place.line)?;
        let byte = |character: usize| line.char_indices().map(|(at, _)| at).nth(character);
        let (start, end) = (byte(place.column)?, byte(place.column + length)?);
        let changed = format!("{}{new}{}", &line[..start], &line[end..]);
        let mut lines = self.lines.clone();
        lines[place.line] = &changed;
        Some(lines.concat())
    }

    /// The place right after the scalar at `place`: quoted, or up to a space, comma, brace or the line's end.
    pub(super) fn after_scalar(&self, place: Place) -> Option<Place> {
        let line = self.lines.get(place.line)?;
        let rest: Vec<char> = line.chars().skip(place.column).collect();
        let length = match rest.first()? {
            quote @ ('"' | '\'') => rest.iter().skip(1).position(|c| c == quote)? + 2,
            _ => rest.iter().position(|c| " ,}\r\n".contains(*c)).unwrap_or(rest.len()),
        };
        Some(Place { line: place.line, column: place.column + length })
    }

    pub(super) fn line(&self, n: usize) -> Option<&'a str> {
        self.lines.get(n).copied()
    }

    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }
}
