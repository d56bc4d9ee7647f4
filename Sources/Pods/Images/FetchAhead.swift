internal import ImageFetch

/// What a fetch takes whatever the image is, got while the command line is still being read.
public enum FetchAhead {
    /// Begins to get it if a command is sure to need it.
    ///
    /// - Parameter words: The command line, without the program.
    public static func begin(for words: [String]) {
        guard words.contains("fetch"), words.contains(where: { $0.hasPrefix("docker://") || $0.hasPrefix("https://") })
        else { return }
        HTTPLibrary.loadAhead()
    }
}
