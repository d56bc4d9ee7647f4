internal import ArgumentParser
internal import ImageStore
internal import Pods

struct ImageCollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove images that have not been used for a while."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(help: ArgumentHelp("How long an image stays after its last use.", valueName: "duration"))
    var gracePeriod = GoDuration(.seconds(24 * 3600))

    func run() throws {
        let data = try global.data()
        let report = try data.collectImages(grace: gracePeriod.duration)
        for id in report.removedImages { print("successfully removed aci for image: \"\(id)\"") }
        StandardError.print(
            "gc: \(report.removedImages.count) image(s) successfully removed, "
                + "\(HumanSize.iec(UInt64(max(report.bytesFreed, 0)))) freed\n"
        )
    }
}
