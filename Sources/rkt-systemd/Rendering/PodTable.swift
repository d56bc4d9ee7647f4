internal import Glibc
internal import Manifests
internal import Pods

/// The table of `rkt list`.
struct PodTable {
    /// Whole ids and exact times instead of short ones.
    let full: Bool
    /// Whether the titles are printed.
    let legend: Bool

    /// The table, a line per app.
    ///
    /// - Parameter pods: The pods.
    /// - Returns: The text.
    func text(_ pods: [PodSummary]) -> String {
        var table = Table()
        if legend {
            let image = full ? ["IMAGE NAME", "IMAGE ID"] : ["IMAGE NAME"]
            let stage1 = full ? ["STAGE1"] : []
            table.add(["UUID", "APP"] + image + ["STATE", "CREATED", "STARTED", "NETWORKS"] + stage1)
        }
        let now = Self.now()
        for pod in pods {
            let uuid = pod.uuid.description
            let times = [pod.createdAt, pod.startedAt].map { time in
                time.map { full ? HumanTime.full($0) : HumanTime.relative($0, now: now) } ?? ""
            }
            let rows = pod.apps.isEmpty ? [["-", "-"] + (full ? ["-"] : [])] : pod.apps.map(cells)
            for (index, row) in rows.enumerated() {
                let head = index == 0 ? [full ? uuid : String(uuid.prefix(8))] : [""]
                let stage1 = full ? [index == 0 ? pod.stage1 ?? "" : ""] : []
                let tail = (index == 0 ? [pod.state.rawValue] + times + [""] : ["", "", "", ""]) + stage1
                table.add(head + row + tail)
            }
        }
        return table.text
    }

    private func cells(_ app: PodSummary.App) -> [String] {
        [app.name, app.imageName] + (full ? [String(app.imageID.prefix(19))] : [])
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
