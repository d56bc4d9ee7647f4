public import Diagnostics

/// An error as it came over D-Bus; found as the cause of the ``RktError`` that a failed call throws.
public struct DBusError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The D-Bus error name, such as `org.freedesktop.systemd1.NoSuchUnit`.
    public let name: String
    /// The other side's words, on one line and of limited length; may be empty.
    public let message: String

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - name: The D-Bus error name.
    ///   - message: The other side's words; control characters become spaces, the end of a long text is cut off.
    public init(name: String, message: String) {
        self.name = name
        let limit = 2048
        let scalars = message.unicodeScalars.prefix(limit).map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
        self.message = String(String.UnicodeScalarView(scalars))
    }

    /// `words (name)`.
    public var description: String { message.isEmpty ? name : "\(message) (\(name))" }

    /// The code an ``RktError`` around this error has, chosen by the error's name.
    public var code: RktError.Code {
        // Services prefix the same last component differently (org.freedesktop.DBus.Error.AccessDenied,
        // org.freedesktop.machine1.NoSuchMachine), and none uses one of these for another meaning.
        switch name.split(separator: ".").last.map(String.init) ?? "" {
        case "NoSuchUnit", "NoSuchMachine", "NoSuchJob", "NoUnitForPID", "NoUnitForInvocationID", "NoMachineForPID",
            "NoSuchImage", "FileNotFound", "UnknownObject":
            .notFound
        case "UnitExists", "MachineExists", "FileExists":
            .alreadyExists
        case "AccessDenied", "AuthFailed", "InteractiveAuthorizationRequired", "PropertyReadOnly":
            .permissionDenied
        case "NoReply", "Disconnected", "ServiceUnknown", "NameHasNoOwner", "NoServer", "NoNetwork":
            .unavailable
        case "Timeout", "TimedOut":
            .timeout
        case "UnknownMethod", "UnknownInterface", "UnknownProperty", "NotSupported", "UnsupportedError":
            .unsupported
        case "InvalidArgs", "InvalidSignature", "BadUnitSetting":
            .invalidArgument
        case "NoMemory", "LimitsExceeded", "LoadError":
            .limitExceeded
        case "TransactionIsDestructive", "TransactionJobsConflicting", "UnitBusy":
            .busy
        case "UnitMasked", "JobTypeNotApplicable", "NoIsolation", "ShuttingDown", "OnlyByDependency", "NotReferenced":
            .wrongState
        default:
            .failed
        }
    }
}

extension RktError {
    /// The D-Bus error in the chain of causes, if the failure came over D-Bus.
    public var dbusError: DBusError? {
        var next: (any Error)? = self
        while let error = next {
            if let found = error as? DBusError { return found }
            next = (error as? RktError)?.cause
        }
        return nil
    }
}
