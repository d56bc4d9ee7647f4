internal import Diagnostics

/// A content digest: `sha256:HEX` or `sha512:HEX`, lower-case and of full length.
///
/// A value of this type is always well-formed, so its parts can be used in file names.
public struct Digest: CheckedText {
    /// The hash functions in use.
    public enum Algorithm: String, Sendable, CaseIterable {
        /// SHA-256, 64 hex digits.
        case sha256
        /// SHA-512, 128 hex digits.
        case sha512

        /// The number of hex digits of a digest.
        public var hexLength: Int { self == .sha256 ? 64 : 128 }
    }

    /// The hash function.
    public let algorithm: Algorithm
    /// The digest in lower-case hex digits, of the full length.
    public let hex: String

    /// Parses a digest as manifests write it.
    ///
    /// - Parameter text: `sha256:HEX` or `sha512:HEX`.
    /// - Throws: ``RktError`` with `invalidData` for anything else, `unsupported` for another algorithm.
    public init(_ text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw RktError(.invalidData, "\(text.prefix(200).debugDescription) is not a digest (ALGORITHM:HEX)")
        }
        guard let algorithm = Algorithm(rawValue: String(parts[0])) else {
            throw RktError(
                .unsupported,
                "digest \(text.prefix(200).debugDescription) has an algorithm other than sha256 and sha512"
            )
        }
        try self.init(algorithm, hex: String(parts[1]))
    }

    /// Makes a digest of its parts.
    ///
    /// - Parameters:
    ///   - algorithm: The hash function.
    ///   - hex: Lower-case hex digits, all of them.
    /// - Throws: ``RktError`` with `invalidData` for another length or other characters.
    public init(_ algorithm: Algorithm, hex: String) throws {
        guard hex.utf8.count == algorithm.hexLength, hex.utf8.allSatisfy(isLowerHex) else {
            throw RktError(
                .invalidData,
                "\("\(algorithm.rawValue):\(hex)".prefix(200).debugDescription) is not a digest: \(algorithm.rawValue) has "
                    + "\(algorithm.hexLength) lower-case hex digits"
            )
        }
        self.algorithm = algorithm
        self.hex = hex
    }

    /// Makes a digest of a hash function's output.
    ///
    /// - Parameters:
    ///   - algorithm: The hash function.
    ///   - bytes: Its output.
    /// - Throws: ``RktError`` with `invalidData` for another number of bytes.
    public init(_ algorithm: Algorithm, bytes: some Sequence<UInt8>) throws {
        try self.init(algorithm, hex: bytes.hex)
    }

    /// `ALGORITHM:HEX`.
    public var description: String { "\(algorithm.rawValue):\(hex)" }
}

func isLowerHex(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
}
