internal import Diagnostics
internal import Glibc
internal import Synchronization

/// Shows how far downloads and the like are: one line per item that is kept up to date on a terminal, a line at the
/// start and the end of each elsewhere, nothing when asked to be quiet.
///
/// May be told of progress from any thread. What it is told after ``close()`` is not shown.
final class Progress: Sendable {
    /// How to show it.
    enum Style: Sendable, Equatable {
        /// On a terminal of this many columns.
        case terminal(columns: Int)
        /// As lines that stay.
        case lines
        /// Not at all.
        case quiet
    }

    /// One thing that makes progress.
    struct Item {
        let name: String
        var done: UInt64 = 0
        var total: UInt64?
        // Where the rate is measured from: some seconds ago.
        var since: ContinuousClock.Instant
        var doneThen: UInt64 = 0
        var rate: Double?
    }

    private struct State {
        var items: [Item] = []
        var shownLines = 0
        var lastDrawn: ContinuousClock.Instant?
        var isClosed = false
    }

    /// No more often than a person can see, and a terminal over a slow line can take.
    private static let drawInterval: Duration = .milliseconds(100)
    private static let rateInterval: Duration = .seconds(2)
    /// More would not fit on a small screen, and what has scrolled off cannot be redrawn.
    private static let mostLines = 10

    private let style: Style
    private let write: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// Makes a display that shows nothing yet.
    ///
    /// - Parameters:
    ///   - style: How to show progress.
    ///   - write: Writes text to where it is shown; called by one thread at a time.
    init(_ style: Style, write: @escaping @Sendable (String) -> Void) {
        self.style = style
        self.write = write
    }

    /// Says how far an item is; the first time, it is added.
    ///
    /// - Parameters:
    ///   - name: The item's name; what is not printable is written out.
    ///   - done: How many bytes are there.
    ///   - total: How many there will be, if that is known.
    ///   - now: The present.
    func update(_ name: String, done: UInt64, total: UInt64?, now: ContinuousClock.Instant = .now) {
        guard style != .quiet else { return }
        state.withLock { state in
            guard !state.isClosed else { return }
            let name = TerminalText.sanitized(name, keeping: [])
            let index = state.items.firstIndex { $0.name == name } ?? state.items.count
            let isNew = index == state.items.count
            if isNew { state.items.append(Item(name: name, since: now)) }
            state.items[index].total = total
            state.items[index].measure(done, now: now, every: Self.rateInterval)
            if style == .lines {
                if isNew { write("\(name)\(total.map { ": \(HumanSize.iec($0))" } ?? "")\n") }
            } else if isNew || state.lastDrawn.map({ now - $0 >= Self.drawInterval }) ?? true {
                state.lastDrawn = now
                draw(&state)
            }
        }
    }

    /// Prints a line among the display without disturbing it.
    ///
    /// - Parameter line: The line without its end; it is the caller's to make it harmless.
    func message(_ line: String) {
        state.withLock { state in
            insert("\(line)\n", &state)
        }
    }

    /// Takes the display away; nothing is shown afterwards.
    func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            write(erasing(&state))
            state.isClosed = true
            state.items = []
        }
    }

    /// Writes a line that stays, above what is being redrawn.
    private func insert(_ line: String, _ state: inout State) {
        guard case .terminal = style, !state.isClosed else {
            write(line)
            return
        }
        draw(&state, after: line)
    }

    /// What takes the drawn lines away: up to the first of them and clear to the end of the screen.
    private func erasing(_ state: inout State) -> String {
        defer { state.shownLines = 0 }
        return state.shownLines > 0 ? "\u{1b}[\(state.shownLines)A\r\u{1b}[J" : ""
    }

    private func draw(_ state: inout State, after line: String = "") {
        guard case .terminal(let columns) = style else { return }
        var lines = state.items.prefix(Self.mostLines).map { $0.line(columns: columns) }
        if state.items.count > lines.count { lines.append("… and \(state.items.count - lines.count) more") }
        // In one piece, so that nothing else comes in between.
        write(erasing(&state) + line + lines.map { $0 + "\n" }.joined())
        state.shownLines = lines.count
    }
}

extension Progress.Item {
    /// Takes in a new count and measures the rate again when enough time has passed.
    mutating func measure(_ done: UInt64, now: ContinuousClock.Instant, every interval: Duration) {
        if done < self.done {
            // Begun anew.
            since = now
            doneThen = done
            rate = nil
        }
        self.done = done
        let passed = now - since
        guard passed >= (rate == nil ? interval / 4 : interval) else { return }
        rate = Double(done - doneThen) / (passed / .seconds(1))
        since = now
        doneThen = done
    }

    /// `name  12MiB / 45MiB  27%  3.4MiB/s  10s left`, cut to fit.
    func line(columns: Int) -> String {
        var parts = [total.map { "\(HumanSize.iec(done)) / \(HumanSize.iec($0))" } ?? HumanSize.iec(done)]
        if let total, total > 0 { parts.append("\(min(100, UInt64(Double(done) / Double(total) * 100)))%") }
        if let rate {
            parts.append("\(HumanSize.iec(UInt64(rate)))/s")
            if let total, total > done, rate >= 1 {
                parts.append("\(Self.duration(Double(total - done) / rate)) left")
            }
        }
        let figures = parts.joined(separator: "  ")
        // The last column stays free: writing it makes some terminals begin a new line.
        let room = columns - 1 - figures.count - 2
        guard room >= 8 else { return String(figures.prefix(max(0, columns - 1))) }
        return "\(Self.shortened(name, to: room))  \(figures)"
    }

    /// A text cut in its middle: the ends of digests and paths tell most.
    private static func shortened(_ text: String, to count: Int) -> String {
        guard text.count > count else { return text }
        return "\(text.prefix(count / 2))…\(text.suffix(count - count / 2 - 1))"
    }

    private static func duration(_ seconds: Double) -> String {
        guard seconds < 360_000 else { return "days" }
        let whole = Int(seconds.rounded(.up))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if whole >= 3600 { return "\(whole / 3600)h\(two(whole % 3600 / 60))m" }
        return whole >= 60 ? "\(whole / 60)m\(two(whole % 60))s" : "\(whole)s"
    }
}

extension Progress.Style {
    /// The style for a descriptor.
    ///
    /// - Parameters:
    ///   - descriptor: Where the progress is to be shown, usually stderr.
    ///   - quiet: Whether to show nothing.
    /// - Returns: The terminal's width as it is now, or lines where there is none.
    static func of(_ descriptor: CInt, quiet: Bool) -> Progress.Style {
        if quiet { return .quiet }
        var size = winsize()
        guard TerminalText.isTerminal(descriptor), ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 else {
            return .lines
        }
        // A terminal that does not know its width has 0.
        return .terminal(columns: size.ws_col == 0 ? 80 : Int(size.ws_col))
    }
}
