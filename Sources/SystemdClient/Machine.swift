internal import DBusBridge
internal import Diagnostics

/// What machined knows of a machine.
public struct Machine: Sendable, Hashable {
    /// The machine's name.
    public let name: String
    /// The machine id, 16 bytes or none.
    public let id: [UInt8]
    /// What made the machine.
    public let service: String
    /// `container`, `vm` or `host`.
    public let machineClass: String
    /// The unit the leader is in.
    public let unit: String
    /// The machine's first process, as the host numbers it.
    public let leader: UInt32
    /// The machine's root as the host sees it.
    public let rootDirectory: String
    /// `opening`, `running`, `closing`; empty from a machined that does not tell.
    public let state: String

    init(name: String, properties: [String: DBusValue]) throws {
        func read<T>(_ key: String, _ read: (DBusValue) throws -> T) throws -> T {
            guard let value = properties[key] else {
                throw RktError(.invalidData, "machined tells no \(key) of \(name)")
            }
            return try withContext("the property \(key) of machine \(name)") { try read(value) }
        }
        self.name = name
        id = try read("Id") { try $0.asBytes() }
        service = try read("Service") { try $0.asString() }
        machineClass = try read("Class") { try $0.asString() }
        unit = try read("Unit") { try $0.asString() }
        leader = try read("Leader") { try $0.asUInt32() }
        rootDirectory = try read("RootDirectory") { try $0.asString() }
        state = try properties["State"]?.asString() ?? ""
    }
}
