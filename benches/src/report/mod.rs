//! The report: writes a run's figures into `docs/performance.md`, between its marks, and the plots beside it.

mod plots;
mod sections;
mod targets;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::figures::Figures;

/// Writes the tables into the document, and the plots into the folder `performance` beside it.
///
/// # Errors
/// The document is not there, lacks a mark, or cannot be written.
pub fn write(figures: &Figures, document: &Path) -> Result<()> {
    let reading = || document.display().to_string();
    let mut text = std::fs::read_to_string(document).with_context(reading)?;
    for (mark, table) in sections::all(figures) {
        text = replace(&text, mark, &table)?;
    }
    text = replace(&text, "targets", &targets::table(figures))?;
    std::fs::write(document, text).with_context(reading)?;
    plots::draw(&figures.growth, &document.with_extension(""))
}

/// Replaces what is between `<!-- mark -->` and `<!-- end -->`.
fn replace(text: &str, mark: &str, with: &str) -> Result<String> {
    let (start, end) = (format!("<!-- {mark} -->\n"), "<!-- end -->");
    let parts = text.split_once(&start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("the document has no {}", start.trim()))?;
    ensure!(!with.contains(end), "a table holds the mark of its end");
    let with = with.trim_matches('\n');
    Ok(format!("{before}{start}\n{with}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_the_one_that_was_there() {
        let text = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n";
        let new = replace(text, "one", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- one -->\n\nnew\n\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
        );
        assert_eq!(replace(&new, "one", "new\n").unwrap(), new);
        assert!(replace(text, "three", "new\n").is_err());
    }
}
