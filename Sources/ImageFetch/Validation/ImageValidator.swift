internal import Diagnostics
internal import Glibc
public import ImageStore
internal import LinuxOS
internal import Manifests

/// Says whether files are images, without storing anything of them. Archives are unpacked by confined processes into a
/// directory that is gone afterwards.
public struct ImageValidator: Sendable {
    private let check: ArchiveCheck
    private let limits: ImageLimits

    /// Makes a validator.
    ///
    /// - Parameters:
    ///   - scratch: A directory with room for what images hold.
    ///   - limits: What images may cost.
    /// - Throws: `RktError` when nothing can be written there.
    public init(scratch: String, limits: ImageLimits = ImageLimits()) throws {
        self.limits = limits
        check = ArchiveCheck(area: try WorkArea(in: try Directory(path: scratch)), limits: limits)
    }

    /// Looks at a file or a directory.
    ///
    /// - Parameter path: Its path.
    /// - Returns: What it is and what is wrong with it.
    /// - Throws: `RktError` when it cannot be opened, or is neither a file nor a directory.
    public func validate(_ path: String) throws -> ImageValidation {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
        let file = OwnedFD(taking: try system("opening \(path)") { Glibc.open(path, flags) })
        var found = ImageValidation()
        switch try FileStatus(of: file, name: path).kind {
        case .directory:
            found.kind = .layout
            try validateParts(Directory(taking: file, path: path), &found)
        case .regular: try validateArchive(file, &found)
        default: throw RktError(.invalidArgument, "\(path) is neither a regular file nor a directory")
        }
        return found
    }

    // MARK: Archives

    private static let archive = "archive"

    private func validateArchive(_ file: borrowing OwnedFD, _ found: inout ImageValidation) throws {
        let probe = try check.run(file, as: .probe, name: Self.archive, algorithms: (.sha256, []))
        guard let report = probe.report else {
            guard let problem = probe.problems.first else {
                return found.add(Self.archive, "it is no image: it is empty")
            }
            return found.add(Self.archive, problem)
        }
        if report.isAppc {
            found.kind = .appc
            return try validateAppc(file, &found)
        }
        let parts = try check.scratch()
        let outcome = try check.run(file, as: .plain, into: parts, name: Self.archive, algorithms: (.sha256, []))
        outcome.problems.forEach { found.add(Self.archive, $0) }
        guard outcome.problems.isEmpty else { return }
        found.kind = parts.contains("oci-layout") || parts.contains("index.json") ? .layoutArchive : nil
        if found.kind == nil, parts.contains("manifest.json") { found.kind = .dockerArchive }
        guard found.kind != nil else {
            return found.add(
                Self.archive,
                "it is no image: it has neither an oci-layout with an index.json, nor a manifest.json as 'docker save' "
                    + "writes it, nor an appc manifest with a rootfs"
            )
        }
        try validateParts(parts, &found)
    }

    private func validateAppc(_ file: borrowing OwnedFD, _ found: inout ImageValidation) throws {
        let outcome = try check.run(file, as: .manifest, name: Self.archive, algorithms: (.sha256, []))
        outcome.problems.forEach { found.add(Self.archive, $0) }
        if let report = outcome.report, !report.isAppc { found.add("rootfs", "is missing") }
        if let bytes = outcome.report?.manifest {
            do {
                let manifest = try AppcImageManifest.parse(bytes, name: "it")
                let labels = (manifest.labels ?? []).map { "\($0.name)=\($0.value)" }
                found.images = [(["\(manifest.name)"] + labels).joined(separator: ",")]
            } catch {
                found.add("manifest", error)
            }
        } else if outcome.problems.isEmpty {
            found.add("manifest", "is missing")
        }
        // What was wrong with the archive's outline would only be found again.
        guard outcome.problems.isEmpty else { return }
        let root = try check.run(file, as: .aci, name: Self.archive, algorithms: (.sha256, []))
        root.problems.forEach { found.add(Self.archive, $0) }
    }

    // MARK: Parts

    private func validateParts(_ parts: Directory, _ found: inout ImageValidation) throws {
        if found.kind == .dockerArchive {
            try DockerArchiveValidator(parts: parts, check: check, limits: limits).run(&found)
        } else {
            try LayoutValidator(parts: parts, check: check, limits: limits).run(&found)
        }
    }
}
