public import LinuxOS

/// A file descriptor in a D-Bus value: shared by the value's copies, closed with the last of them.
public final class DBusDescriptor: Sendable, Hashable {
    /// The descriptor.
    public let descriptor: OwnedFD

    /// Takes over a descriptor.
    ///
    /// - Parameter descriptor: The descriptor; sending it over D-Bus sends a duplicate.
    public init(taking descriptor: consuming OwnedFD) {
        self.descriptor = descriptor
    }

    /// Whether both are the same descriptor, not merely the same file.
    public static func == (left: DBusDescriptor, right: DBusDescriptor) -> Bool { left === right }

    /// Hashes the identity.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(self))
    }
}
