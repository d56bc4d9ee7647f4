internal import ArgumentParser
internal import Diagnostics
internal import ImageStore
internal import Pods

struct ImageListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the images in the store.")

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(
        help: ArgumentHelp(
            "The columns: id, name, size, importtime, lastused, verification, signers, checked, origin (default: the "
                + "first five; with --full all).",
            valueName: "list"
        )
    )
    var fields: String?

    @Option(help: ArgumentHelp("Sort by these columns.", valueName: "list"))
    var sort = "importtime"

    @Option(help: "Sort asc(ending) or desc(ending).")
    var order = SortOrder.asc

    @Flag(help: "Print no line of titles.")
    var noLegend = false

    @Flag(help: "Print whole ids, bytes and exact times, and who vouches for each image.")
    var full = false

    @Option(help: ArgumentHelp("Print json or json-pretty instead of a table.", valueName: "format"))
    var format: PodFormat?

    enum SortOrder: String, ExpressibleByArgument, CaseIterable {
        case asc, desc
    }

    func run() throws {
        let columns = try fields.map { try ImageColumn.list($0, option: "--fields") } ?? ImageColumn.usual(full: full)
        let keys = try ImageColumn.list(sort, option: "--sort")
        let store = try global.data().store()
        var rows = try store.list().map { try ImageRow($0, in: store) }
        for key in keys.reversed() { rows.sort { key.isBefore($0, $1) } }
        if order == .desc { rows.reverse() }
        if let format {
            print(rows.isEmpty ? "null" : try JSONText.encode(rows, format.layout))
            return
        }
        var table = Table()
        if !noLegend { table.add(columns.map(\.title)) }
        let now = HumanTime.now
        for row in rows { table.add(columns.map { $0.text(row, full: full, now: now) }) }
        print(TerminalText.forOutput(table.text), terminator: "")
    }
}

/// A column of the list.
enum ImageColumn: String, CaseIterable {
    case id, name, size, importtime, lastused, verification, signers, checked, origin

    /// The columns that are shown when nobody says which.
    static func usual(full: Bool) -> [ImageColumn] { full ? allCases : [.id, .name, .size, .importtime, .lastused] }

    var title: String {
        switch self {
        case .importtime: "IMPORT TIME"
        case .lastused: "LAST USED"
        default: rawValue.uppercased()
        }
    }

    /// Reads a comma-separated list.
    static func list(_ text: String, option: String) throws -> [ImageColumn] {
        try text.split(separator: ",").map { word in
            guard let column = ImageColumn(rawValue: String(word)) else {
                let known = allCases.map(\.rawValue).joined(separator: ", ")
                throw RktError(.invalidArgument, "\(option): \"\(word)\" is none of: \(known)")
            }
            return column
        }
    }

    func text(_ row: ImageRow, full: Bool, now: Int64) -> String {
        func time(_ time: Int64) -> String { full ? HumanTime.full(time) : HumanTime.relative(time, now: now) }
        switch self {
        case .id: return full ? row.id : ImageNaming.short(row.id, digits: 12)
        case .name: return row.name
        case .size: return full ? "\(row.size)" : HumanSize.iec(UInt64(max(row.size, 0)))
        case .importtime: return time(row.importTime)
        case .lastused: return time(row.lastUsedTime)
        case .verification: return row.verification.detail
        case .signers: return (row.verification.signers ?? []).joined(separator: ",")
        case .checked: return row.verification.checkedTime.map(time) ?? ""
        case .origin: return row.verification.origin ?? ""
        }
    }

    func isBefore(_ left: ImageRow, _ right: ImageRow) -> Bool {
        switch self {
        case .id: left.id < right.id
        case .name: left.name < right.name
        case .size: left.size < right.size
        case .importtime: left.importTime < right.importTime
        case .lastused: left.lastUsedTime < right.lastUsedTime
        case .checked: left.verification.checkedTime ?? 0 < right.verification.checkedTime ?? 0
        case .verification, .signers, .origin: text(left, full: true, now: 0) < text(right, full: true, now: 0)
        }
    }
}

/// An image as the list prints it.
struct ImageRow: Encodable {
    let id: String
    let name: String
    let importTime: Int64
    let lastUsedTime: Int64
    let size: Int64
    let verification: Verification

    enum CodingKeys: String, CodingKey {
        case id, name
        case importTime = "import_time"
        case lastUsedTime = "last_used_time"
        case size, verification
    }

    /// What was verified, by which keys, when, and where it came from.
    struct Verification: Encodable {
        let isVerified: Bool
        let detail: String
        let signers: [String]?
        let checkedTime: Int64?
        let origin: String?

        enum CodingKeys: String, CodingKey {
            case isVerified = "verified"
            case detail, signers
            case checkedTime = "checked_time"
            case origin
        }
    }

    init(_ record: ImageRecord, in store: ImageStore) throws {
        id = record.id
        name = record.displayName
        importTime = record.importedAt
        lastUsedTime = try store.lastUsed(record)
        // Unpacked layers are root's alone; others see the size of what was fetched.
        size = (try? store.sizeOnDisk(of: record)) ?? record.size
        verification = Verification(
            isVerified: record.verification.isVerified,
            detail: record.verification.detail,
            signers: record.verification.signers,
            checkedTime: record.verification.checkedAt,
            origin: record.verification.origin
        )
    }
}
