internal import LinuxOS
internal import Manifests

extension PodDirectory {
    /// The layers that its apps and its stage1 run from: all that is there, also of a pod that is not whole.
    var layersInUse: Set<Digest> {
        let apps = (try? directory.directory("apps").names()) ?? []
        let places = apps.map { "apps/\($0)" } + [Stage1Image.directoryName]
        let lists = places.map { (try? directory.readText("\($0)/layers")) ?? "" }
        return Set(lists.flatMap { $0.split(separator: "\n") }.compactMap { Self.layer(inPath: $0) })
    }

    /// The digest that the directory of a layer is called after, whose length tells the hash function.
    private static func layer(inPath path: Substring) -> Digest? {
        guard let name = path.split(separator: "/").last else { return nil }
        return try? Digest(name.utf8.count == 64 ? .sha256 : .sha512, hex: String(name))
    }

    /// The ids of the images that it uses.
    var imagesInUse: Set<String> {
        let apps = ((try? overview()) ?? []).map(\.imageID)
        return Set(apps + [(try? RuntimeConfiguration(of: self).programs)?.imageID].compactMap(\.self))
    }
}
