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

/// Lines of cells, each cell ended by a tab in Go's `text/tabwriter`; the last of a line has no end and takes no part.
/// A column is as wide as its widest cell in consecutive lines that have it, and `gap` more, at least `least`.
pub(super) fn tabs(lines: &[Vec<String>], least: usize, gap: usize) -> String {
    let mut widths: Vec<Vec<usize>> = vec![Vec::new(); lines.len()];
    let columns = lines.iter().map(Vec::len).max().unwrap_or(1).saturating_sub(1);
    for column in 0..columns {
        let has = |line: &Vec<String>| line.len() > column + 1;
        let mut first = 0;
        while first < lines.len() {
            let block = lines[first..].iter().take_while(|line| has(line)).count();
            let cells = lines[first..first + block].iter().map(|line| line[column].chars().count());
            let width = cells.max().map_or(0, |width| (width + gap).max(least));
            widths[first..first + block].iter_mut().for_each(|line| line.push(width));
            first += block.max(1);
        }
    }
    let shown = lines.iter().zip(&widths).map(|(line, widths)| {
        let (last, padded) = line.split_last().map_or(("", &[][..]), |(last, rest)| (last, rest));
        let padded: String =
            padded.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded + last
    });
    shown.collect::<Vec<_>>().join("\n")
}
