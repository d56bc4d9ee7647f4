/// A configuration file below `/run`.
public struct GeneratedFile: Sendable, Hashable {
    /// The path relative to `/run`.
    public let path: String
    /// The content.
    public let content: String
}

extension PodPlan {
    /// The configuration of the pod's journal namespace; nothing with the host's journal.
    ///
    /// Every key is one that systemd 252 knows.
    ///
    /// - Returns: The files.
    public func journalConfiguration() -> [GeneratedFile] {
        guard case .namespace(let maximumUse) = journal, stage1 != .nspawn else { return [] }
        return [
            GeneratedFile(
                path: "systemd/journald@\(machineName).conf.d/10-rkt.conf",
                content: Self.text(Self.journalSettings(maximumUse: maximumUse))
            ),
            // It has no restart of its own, and a pod's log must not end with it.
            GeneratedFile(
                path: "systemd/system/systemd-journald@\(machineName).service.d/10-rkt.conf",
                content: Self.text([
                    "[Unit]", "StartLimitIntervalSec=0", "", "[Service]", "Restart=on-failure", "RestartSec=0",
                ])
            ),
            // rkt waits for the journal itself; its own sync takes as long as a small pod runs.
            GeneratedFile(
                path: "systemd/system/systemd-journald-sync@\(machineName).service.d/10-rkt.conf",
                content: Self.text(["[Unit]", "ConditionPathExists=!/"])
            ),
        ]
    }

    /// The pod's log as it comes, whole, in files that are small while it is.
    static func journalSettings(maximumUse: UInt64) -> [String] {
        // Audit= is left alone: it would speak for the whole kernel.
        ["[Journal]", "RateLimitIntervalSec=0", "RateLimitBurst=0", "SplitMode=none"]
            + ["System", "Runtime"].flatMap { ["\($0)MaxFileSize=1M", "\($0)MaxUse=\(maximumUse)"] }
            + ["ReadKMsg=no"] + ["Syslog", "KMsg", "Console", "Wall"].map { "ForwardTo\($0)=no" }
    }

    static func text(_ lines: [String]) -> String { lines.map { "\($0)\n" }.joined() }
}
