internal import Diagnostics

/// The version of a systemd, as far as it decides what we may use.
public struct SystemdVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The release: 252, 257, 262.
    public let major: Int
    /// The whole version string, such as `257.13-1~deb13u1`.
    public let description: String

    /// Reads a version string.
    ///
    /// - Parameter text: The manager's `Version` property: `v` or nothing, digits, and anything that is no digit.
    /// - Throws: `RktError` with `invalidData` when it does not start with a number.
    public init(_ text: String) throws {
        let digits = text.drop { $0 == "v" }.prefix { $0.isASCII && $0.isNumber }
        guard digits.count <= 6, let major = Int(digits) else {
            throw RktError(.invalidData, "\(text.prefix(80).debugDescription) is no version of systemd")
        }
        self.major = major
        description = text
    }

    /// The order of releases; distribution suffixes do not count.
    public static func < (left: SystemdVersion, right: SystemdVersion) -> Bool { left.major < right.major }
}

/// What the host's systemd can do, of what this project uses: asked once, here, and nowhere guessed.
public struct SystemCapabilities: Sendable, Hashable {
    /// The version all else follows from.
    public let version: SystemdVersion

    /// The oldest release this project runs on.
    public static let oldestSupported = 252

    /// Derives the capabilities of a version.
    ///
    /// - Parameter version: The manager's version.
    public init(version: SystemdVersion) {
        self.version = version
    }

    /// Whether this systemd is new enough for this project.
    public var isSupported: Bool { version.major >= Self.oldestSupported }
    /// machined ends a machine with a subgroup by a signal to the process that registered it, and drops a machine when
    /// its leader ends.
    public var machineSupervisor: Bool { version.major >= 258 }
    /// RegisterMachineEx of machined, with the leader by pidfd.
    public var registerMachineEx: Bool { version.major >= 259 }
}
