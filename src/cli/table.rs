//! Tables as Consul prints them: columns padded with spaces, two between them.

/// Spaces between columns.
const GAP: &str = "  ";

/// Prints rows; every cell but a row's last is padded to its column's width.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line =
        |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(place, (cell, width))| {
                if place + 1 == row.len() { cell.clone() } else { format!("{cell:width$}") }
            });
            cells.collect::<Vec<_>>().join(GAP)
        };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Names and values: the values begin at the same column, `gap` spaces after the longest name.
pub(super) fn pairs(rows: &[(String, String)], gap: usize) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + gap;
    rows.iter().map(|(name, value)| format!("{name:width$}{value}")).collect::<Vec<_>>().join("\n")
}
