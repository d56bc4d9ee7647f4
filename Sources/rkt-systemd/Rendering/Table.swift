/// A table for people and for `cut`: cells are padded with TABs to stops of eight columns.
///
/// The layout is that of Go's text/tabwriter with minimal width 0, tab width 8, padding 1 and TAB as padding, which
/// scripts around rkt rely on: every cell but a row's last is followed by at least one TAB, and cells below each other
/// in an unbroken run of rows are as wide as the widest of them. A row's last cell is in no column.
struct Table {
    private static let tabWidth = 8
    private static let padding = 1

    private var rows: [[String]] = []

    /// Adds a row.
    ///
    /// - Parameter cells: Its cells; a TAB or line break in one would end it, and becomes a space.
    mutating func add(_ cells: [String]) {
        rows.append(
            cells.map { cell in
                cell.contains(where: { $0 == "\t" || $0.isNewline })
                    ? String(cell.map { $0 == "\t" || $0.isNewline ? " " : $0 }) : cell
            }
        )
    }

    /// The table's text, each row ended by a line feed; empty when there is no row.
    var text: String {
        let widths = columnWidths()
        var result = ""
        for (row, cells) in rows.enumerated() {
            for (column, cell) in cells.enumerated() {
                result += cell
                guard column + 1 < cells.count else { continue }
                let missing = Self.roundedUp(widths[row][column]) - cell.unicodeScalars.count
                result += String(repeating: "\t", count: (missing + Self.tabWidth - 1) / Self.tabWidth)
            }
            result += "\n"
        }
        return result
    }

    private static func roundedUp(_ width: Int) -> Int {
        (width + tabWidth - 1) / tabWidth * tabWidth
    }

    /// For each row the width of each column that has one: the widest cell, with padding, of the unbroken run of rows
    /// around it that have a terminated cell in that column.
    private func columnWidths() -> [[Int]] {
        var widths = rows.map { row in row.dropLast().map { $0.unicodeScalars.count + Self.padding } }
        for column in 0..<(widths.map(\.count).max() ?? 0) {
            var start = 0
            while start < widths.count {
                guard column < widths[start].count else {
                    start += 1
                    continue
                }
                let end = widths[start...].firstIndex { $0.count <= column } ?? widths.count
                let widest = widths[start..<end].map { $0[column] }.max() ?? 0
                for row in start..<end { widths[row][column] = widest }
                start = end
            }
        }
        return widths
    }
}
