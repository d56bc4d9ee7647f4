internal import CDBus
internal import Diagnostics

/// A reader of signals, as the connection sees it.
struct SignalStream {
    let match: DBusSignalMatch
    let deadline: ContinuousClock.Instant?
    let limit: Int
    let continuation: AsyncThrowingStream<DBusSignal, any Error>.Continuation
}

extension ConnectionCore {
    /// The bus itself, whose name nobody else can have.
    static let busName = "org.freedesktop.DBus"
    private static let busPath = "/org/freedesktop/DBus"

    static func busCall(_ member: String, _ arguments: [DBusValue] = [], noReply: Bool = false) -> DBusCall {
        DBusCall(
            destination: busName,
            path: busPath,
            interface: busName,
            member: member,
            arguments: arguments,
            noReply: noReply
        )
    }

    /// Adds a stream; on a bus its match is not installed yet.
    func add(_ stream: SignalStream) -> Int {
        lastStream += 1
        streams[lastStream] = stream
        if let deadline = stream.deadline { note(deadline: deadline) }
        return lastStream
    }

    func dropStream(_ identifier: Int) {
        guard let stream = streams.removeValue(forKey: identifier), isBus, ending == nil else { return }
        let call = Self.busCall("RemoveMatch", [.string(stream.match.rule)], noReply: true)
        // A match too many costs a wake-up and nothing else.
        try? send(call, timeout: .seconds(25)) { _ in }
    }

    /// The calls that put a match in force, to be sent in this order; the owner of a well-known name is known before
    /// the first signal that the match lets through.
    func sendMatch(
        _ match: DBusSignalMatch,
        timeout: Duration,
        complete: @escaping (Result<[DBusValue], any Error>) -> Void
    ) throws {
        if let sender = match.sender, Self.isWellKnown(sender), owners[sender] == nil {
            let changes = DBusSignalMatch(
                sender: Self.busName,
                interface: Self.busName,
                member: "NameOwnerChanged",
                argument0: sender
            )
            try send(Self.busCall("AddMatch", [.string(changes.rule)]), timeout: timeout) { _ in }
            owners[sender] = .some(nil)
            try send(Self.busCall("GetNameOwner", [.string(sender)]), timeout: timeout) { [weak self] result in
                // No reply but an error: nobody has the name; the change tells when somebody takes it.
                guard case .success(let arguments) = result, case .string(let owner)? = arguments.first else { return }
                self?.owners[sender] = owner
            }
        }
        try send(Self.busCall("AddMatch", [.string(match.rule)]), timeout: timeout, complete: complete)
    }

    private static func isWellKnown(_ name: String) -> Bool { !name.hasPrefix(":") && name != busName }

    /// Hands a signal to the streams that want it.
    func deliver(_ message: OpaquePointer) {
        guard let path = dbus_message_get_path(message).map({ String(cString: $0) }),
            let interface = dbus_message_get_interface(message).map({ String(cString: $0) }),
            let member = dbus_message_get_member(message).map({ String(cString: $0) })
        else { return }
        let sender = dbus_message_get_sender(message).map { String(cString: $0) }
        let isOwnerChange = isBus && sender == Self.busName && member == "NameOwnerChanged" && !owners.isEmpty
        let readers = streams.filter { _, stream in
            stream.match.matches(path: path, interface: interface, member: member)
                && isFrom(sender, wanted: stream.match.sender)
        }
        if readers.isEmpty && !isOwnerChange { return }

        let decoded = Result {
            try withContext("the signal \(interface).\(member) from \(name)") {
                try MessageDecoder.arguments(of: message)
            }
        }
        if isOwnerChange, case .success(let arguments) = decoded { noteOwner(arguments) }
        for (identifier, stream) in readers {
            switch decoded {
            case .failure(let error):
                stream.continuation.finish(throwing: error)
                dropStream(identifier)
            case .success(let arguments):
                guard stream.match.matches(arguments) else { continue }
                let signal = DBusSignal(
                    sender: sender,
                    path: path,
                    interface: interface,
                    member: member,
                    arguments: arguments
                )
                guard case .dropped = stream.continuation.yield(signal) else { continue }
                let limit = stream.limit
                let error = RktError(.limitExceeded, "more than \(limit) unread signals \(interface).\(member)")
                stream.continuation.finish(throwing: error)
                dropStream(identifier)
            }
        }
    }

    private func isFrom(_ sender: String?, wanted: String?) -> Bool {
        // A peer-to-peer connection has one other side.
        guard isBus, let wanted else { return true }
        guard Self.isWellKnown(wanted) else { return sender == wanted }
        guard case .some(.some(let owner)) = owners[wanted] else { return false }
        return sender == owner
    }

    private func noteOwner(_ arguments: [DBusValue]) {
        guard case .string(let changed)? = arguments.first, owners[changed] != nil,
            case .string(let owner)? = arguments.last
        else { return }
        let last = owners[changed] ?? nil
        owners[changed] = .some(owner.isEmpty ? nil : owner)
        guard last != nil, last != owner else { return }
        // What it said while it was away, nobody has heard: whoever waits for its signals must ask again.
        let reason = RktError(.unavailable, "\(changed) has left \(name)")
        for (identifier, stream) in streams where stream.match.sender == changed {
            stream.continuation.finish(throwing: reason)
            dropStream(identifier)
        }
    }
}
