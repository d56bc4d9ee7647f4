/// How slow a server may be.
struct HTTPPace: Sendable {
    /// How much has to come in a second, on the average.
    var bytesPerSecond: Int
    /// For how many seconds it may be less.
    var seconds: Int
    /// Whether a server that is slower is left for another one, not asked again.
    var isFinal: Bool

    /// Of who alone has a thing: all but silence is waited for.
    static let patient = HTTPPace(bytesPerSecond: 16, seconds: 60, isFinal: false)
    /// Of a mirror: what it has others have too.
    static let ofMirrors = HTTPPace(bytesPerSecond: 4 << 10, seconds: 30, isFinal: true)
}
