// swift-tools-version: 6.2

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let strictC: [CSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
]

// The pod's init is static, on musl, without the standard library's large parts: 24 kB of memory while it waits.
#if arch(arm64)
let muslDirectory = "/usr/lib/aarch64-linux-musl"
#else
let muslDirectory = "/usr/lib/x86_64-linux-musl"
#endif

// What is loaded at start costs every command: relocations packed (glibc 2.36), equal code folded, what is not
// used left out, and none of the ten thousand symbols that a static Swift program exports otherwise.
let fastStart =
    ["-use-ld=lld", "-Xclang-linker", "-static-libgcc"]
    + ["--no-export-dynamic", "-z", "pack-relative-relocs", "--icf=safe", "--gc-sections", "--as-needed"]
    .flatMap { ["-Xlinker", $0] }

let package = Package(
    name: "rkt-systemd",
    products: [
        .executable(name: "pod-init", targets: ["pod-init"]),
        .executable(name: "rkt", targets: ["rkt-systemd"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        // C libraries and the few C shims that Swift cannot express.
        .systemLibrary(name: "CDBus", pkgConfig: "dbus-1", providers: [.apt(["libdbus-1-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CLinux", cSettings: strictC),

        .systemLibrary(name: "CMusl"),
        .executableTarget(
            name: "pod-init",
            dependencies: ["CMusl"],
            swiftSettings: [
                .enableExperimentalFeature("Embedded"),
                .unsafeFlags(["-Osize", "-wmo", "-parse-as-library", "-no-static-stdlib"]),
            ],
            linkerSettings: [
                .unsafeFlags(
                    ["-static-stdlib", "-nostartfiles"]
                        + ["-static", "-nostdlib"].flatMap { ["-Xclang-linker", $0] }
                        + ["--gc-sections", "-s"].flatMap { ["-Xlinker", $0] }
                        + ["crt1.o", "crti.o", "libc.a", "crtn.o"].map { "\(muslDirectory)/\($0)" }
                )
            ]
        ),

        // Pure modules.
        .target(name: "Diagnostics", swiftSettings: strict),
        .target(name: "Manifests", dependencies: ["Diagnostics"], swiftSettings: strict),
        .target(name: "UnitGen", dependencies: ["Diagnostics", "Manifests"], swiftSettings: strict),

        // Edges.
        .target(
            name: "LinuxOS",
            dependencies: ["CLinux", "Diagnostics", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict
        ),
        .target(name: "DBusBridge", dependencies: ["CDBus", "Diagnostics", "LinuxOS"], swiftSettings: strict),
        .target(name: "SystemdClient", dependencies: ["DBusBridge", "Diagnostics", "LinuxOS"], swiftSettings: strict),
        .target(name: "Journal", dependencies: ["Diagnostics", "LinuxOS"], swiftSettings: strict),
        .target(
            name: "ImageStore",
            dependencies: [
                "CLinux", "Diagnostics", "LinuxOS", "Manifests",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "ImageFetch",
            dependencies: [
                "CLinux", "Diagnostics", "ImageStore", "LinuxOS", "Manifests",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),

        // The engine and the command.
        .target(
            name: "Pods",
            dependencies: [
                "CLinux", "Diagnostics", "ImageFetch", "ImageStore", "Journal", "LinuxOS", "Manifests",
                "SystemdClient", "UnitGen",
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "rkt-systemd",
            dependencies: [
                "Diagnostics", "ImageStore", "LinuxOS", "Manifests", "Pods",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict,
            linkerSettings: [.unsafeFlags(fastStart, .when(configuration: .release))]
        ),

        // Tests.
        .target(
            name: "TestSupport",
            dependencies: ["CDBus", "DBusBridge", "Diagnostics", "LinuxOS"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .target(
            name: "ImageFixtures",
            dependencies: ["CLinux", "Diagnostics", "ImageStore", "LinuxOS", "Manifests"],
            path: "Tests/Fixtures/Images",
            swiftSettings: strict
        ),
        .target(
            name: "Confinement",
            dependencies: ["CLinux"],
            path: "Tests/Fixtures/Confinement",
            cSettings: strictC
        ),
        .target(
            name: "FuzzTargets",
            dependencies: ["CLinux", "Diagnostics", "ImageFetch", "ImageStore", "LinuxOS", "Manifests"],
            path: "Tests/Fuzz/Targets",
            swiftSettings: strict
        ),
        .testTarget(
            name: "FuzzTests",
            dependencies: ["Diagnostics", "FuzzTargets", "ImageFixtures", "ImageStore", "LinuxOS"],
            swiftSettings: strict
        ),
        .testTarget(name: "ManifestsTests", dependencies: ["Diagnostics", "Manifests"], swiftSettings: strict),
        .testTarget(
            name: "UnitGenTests",
            dependencies: ["Diagnostics", "Manifests", "UnitGen"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LinuxOSTests",
            dependencies: ["Diagnostics", "LinuxOS", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DBusBridgeTests",
            dependencies: ["CDBus", "DBusBridge", "Diagnostics", "LinuxOS", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SystemdClientTests",
            dependencies: ["DBusBridge", "Diagnostics", "LinuxOS", "SystemdClient", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "JournalTests",
            dependencies: ["CSystemd", "Diagnostics", "Journal", "LinuxOS"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ImageStoreTests",
            dependencies: [
                "CLinux", "Confinement", "Diagnostics", "ImageFetch", "ImageFixtures", "ImageStore", "LinuxOS",
                "Manifests",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ImageFetchTests",
            dependencies: [
                "CLinux", "Diagnostics", "ImageFetch", "ImageFixtures", "ImageStore", "LinuxOS", "Manifests",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PodsTests",
            dependencies: [
                "Diagnostics", "ImageFetch", "ImageFixtures", "ImageStore", "LinuxOS", "Manifests", "Pods", "TestSupport",
                "UnitGen",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RktCommandTests",
            dependencies: ["Diagnostics", "ImageFixtures", "LinuxOS", "Pods", "rkt-systemd"],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)

// libFuzzer's program (`make fuzz`) links with the sanitizers' runtime, which an ordinary build does not have.
if Context.environment["RKT_FUZZ"] != nil {
    package.targets += [
        .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer", cSettings: strictC),
        .executableTarget(
            name: "rkt-fuzz",
            dependencies: ["CFuzzer", "FuzzTargets"],
            path: "Tests/Fuzz/Runner",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]
        ),
    ]
}
