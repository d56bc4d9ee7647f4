internal import Diagnostics
internal import Manifests

extension FuzzTarget {
    /// A page about images: it leads only to where it may, and its tags say the same on a page of their own.
    static let page = FuzzTarget("page", shortRun: 6_000) { bytes in
        let tags = HTMLMetaTag.tags(in: bytes)
        try require(tags.count <= HTMLMetaTag.countLimit, "\(tags.count) tags")
        let page = DiscoveryTags(page: bytes)
        for text in ["example.com/app:1.0,os=linux,arch=amd64", "example.com/a/b"] {
            let name = try AppcImageName(text)
            let endpoints = page.endpoints(for: name, allowsHTTP: false)
            for endpoint in endpoints {
                try require(endpoint.archive != endpoint.signature, "\(endpoint.archive) is its own signature")
                try requireFilled(endpoint.archive)
                try requireFilled(endpoint.signature)
            }
            let more = page.endpoints(for: name, allowsHTTP: true)
            try require(endpoints.allSatisfy(more.contains), "who may use http may not use https")
            let keys = page.keyLocations(for: name.name, allowsHTTP: false)
            try require(Set(keys).count == keys.count, "a key comes twice")
            try require(keys.allSatisfy(isHTTPS), "\(keys) are not encrypted")
        }
        let printed = Array(
            tags.map { #"<meta name="\#(escaped($0.name))" content="\#(escaped($0.content))">"# }.joined().utf8
        )
        guard printed.count <= HTMLMetaTag.pageLimit else { return }
        try require(HTMLMetaTag.tags(in: printed) == tags, "\(tags) are read as something else")
        try require(DiscoveryTags(page: printed) == page, "\(tags) say something else")
    }

    private static func requireFilled(_ url: String) throws {
        try require(isHTTPS(url), "\(url) is not encrypted")
        try require(
            !url.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") },
            "\(url) is not filled in"
        )
    }

    private static func isHTTPS(_ url: String) -> Bool { url.lowercased().hasPrefix("https://") }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "&": text += "&amp;"
            case "\"": text += "&quot;"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
