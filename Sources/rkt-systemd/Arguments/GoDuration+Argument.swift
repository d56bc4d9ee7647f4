internal import ArgumentParser

extension GoDuration: ExpressibleByArgument {
    init?(argument: String) {
        guard let duration = try? GoDuration(parsing: argument) else { return nil }
        self = duration
    }
}

extension WaitLimit: ExpressibleByArgument {
    init?(argument: String) {
        guard let limit = try? WaitLimit(argument) else { return nil }
        self = limit
    }

    /// The longest wait; nil for as long as it takes.
    var timeout: Duration? {
        if case .atMost(let duration) = self { return duration }
        return nil
    }
}
