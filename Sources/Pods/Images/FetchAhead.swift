internal import ImageFetch

/// What a fetch takes whatever the image is, got while the command line is still being read.
public enum FetchAhead {
    /// Begins to get it for a command that asks servers.
    ///
    /// - Parameter words: The command line, without the program, the command first.
    public static func begin(for words: [String]) {
        let asksNobody = ["--help", "-h", "--pull-policy=never", "--pull-policy=new"]
        guard words.first == "fetch", !words.contains(where: { asksNobody.contains($0) }),
            words.contains(where: { $0.hasPrefix("docker://") || $0.hasPrefix("https://") })
        else { return }
        HTTPLibrary.loadAhead()
    }
}
