/// A method call.
public struct DBusCall: Sendable {
    /// The bus name of the service; nil on a peer-to-peer connection.
    public var destination: String?
    /// The object.
    public var path: String
    /// The interface.
    public var interface: String
    /// The method.
    public var member: String
    /// The arguments.
    public var arguments: [DBusValue]
    /// Whether the service shall not answer: the call returns as soon as it is sent, and errors are lost.
    public var noReply: Bool
    /// Whether the service may ask the user for a password (polkit).
    public var allowsInteractiveAuthorization: Bool
    /// Whether the bus starts the service when it is not there.
    public var startsService = true

    /// Makes a call.
    ///
    /// - Parameters:
    ///   - destination: The bus name of the service; nil on a peer-to-peer connection.
    ///   - path: The object.
    ///   - interface: The interface.
    ///   - member: The method.
    ///   - arguments: The arguments.
    ///   - noReply: Whether the service shall not answer.
    ///   - allowsInteractiveAuthorization: Whether the service may ask the user for a password.
    public init(
        destination: String?,
        path: String,
        interface: String,
        member: String,
        arguments: [DBusValue] = [],
        noReply: Bool = false,
        allowsInteractiveAuthorization: Bool = false
    ) {
        self.destination = destination
        self.path = path
        self.interface = interface
        self.member = member
        self.arguments = arguments
        self.noReply = noReply
        self.allowsInteractiveAuthorization = allowsInteractiveAuthorization
    }

    /// `interface.member of destination`, for errors.
    var name: String {
        destination.map { "\(interface).\(member) of \($0)" } ?? "\(interface).\(member)"
    }
}

/// A signal that arrived.
public struct DBusSignal: Sendable, Hashable {
    /// The unique name of who sent it; nil on a peer-to-peer connection.
    public let sender: String?
    /// The object it came from.
    public let path: String
    /// The interface.
    public let interface: String
    /// The signal's name.
    public let member: String
    /// The arguments.
    public let arguments: [DBusValue]

    /// Makes a signal.
    ///
    /// - Parameters:
    ///   - sender: The unique name of who sent it.
    ///   - path: The object it comes from.
    ///   - interface: The interface.
    ///   - member: The signal's name.
    ///   - arguments: The arguments.
    public init(sender: String? = nil, path: String, interface: String, member: String, arguments: [DBusValue] = []) {
        self.sender = sender
        self.path = path
        self.interface = interface
        self.member = member
        self.arguments = arguments
    }
}

/// Which signals a stream gets: those that have all the given properties.
public struct DBusSignalMatch: Sendable, Hashable {
    /// Who sends it: a unique or a well-known bus name. Checked against the name's owner, so nobody else's signals
    /// pass; not looked at on a peer-to-peer connection.
    public var sender: String?
    /// The object it comes from.
    public var path: String?
    /// An object it comes from, or from one below.
    public var pathNamespace: String?
    /// The interface.
    public var interface: String?
    /// The signal's name.
    public var member: String?
    /// Its first argument, a string.
    public var argument0: String?
    /// Its third argument, a string.
    public var argument2: String?

    /// Makes a match.
    ///
    /// - Parameters:
    ///   - sender: Who sends it: a unique or a well-known bus name.
    ///   - path: The object it comes from.
    ///   - pathNamespace: An object it comes from, or from one below.
    ///   - interface: The interface.
    ///   - member: The signal's name.
    ///   - argument0: Its first argument.
    ///   - argument2: Its third argument.
    public init(
        sender: String? = nil,
        path: String? = nil,
        pathNamespace: String? = nil,
        interface: String? = nil,
        member: String? = nil,
        argument0: String? = nil,
        argument2: String? = nil
    ) {
        self.sender = sender
        self.path = path
        self.pathNamespace = pathNamespace
        self.interface = interface
        self.member = member
        self.argument0 = argument0
        self.argument2 = argument2
    }

    /// The match in the bus's own words.
    var rule: String {
        let parts = [
            ("sender", sender), ("path", path), ("path_namespace", pathNamespace), ("interface", interface),
            ("member", member), ("arg0", argument0), ("arg2", argument2),
        ]
        var rule = "type='signal'"
        for case (let key, let value?) in parts {
            // Inside quotes, an apostrophe is written by closing them, escaping it and opening them again.
            let quoted = value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#)
            rule += ",\(key)='\(quoted)'"
        }
        return rule
    }

    /// Whether a signal's header fits, but for the sender and the arguments.
    func matches(path: String, interface: String, member: String) -> Bool {
        if let wanted = self.member, wanted != member { return false }
        if let wanted = self.interface, wanted != interface { return false }
        if let wanted = self.path, wanted != path { return false }
        if let root = pathNamespace, root != "/", path != root, !path.hasPrefix(root + "/") { return false }
        return true
    }

    /// Whether a signal's arguments fit; a peer sends them whatever was asked for.
    func matches(_ arguments: [DBusValue]) -> Bool {
        if let wanted = argument0, arguments.first != .string(wanted) { return false }
        if let wanted = argument2, arguments.count < 3 || arguments[2] != .string(wanted) { return false }
        return true
    }
}
