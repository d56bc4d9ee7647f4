internal import ImageFetch
public import ImageStore

/// Looks at images that are not in the store.
public enum ImageCheck {
    /// Where archives are unpacked to while they are looked at; they may be large, so not to memory.
    private static let scratch = "/var/tmp"

    /// Says whether a file or directory is an image.
    ///
    /// - Parameter path: Its path.
    /// - Returns: What it is and what is wrong with it.
    /// - Throws: ``RktError`` when it cannot be opened, or is neither a file nor a directory.
    public static func validate(_ path: String) throws -> ImageValidation {
        try ImageValidator(scratch: scratch).validate(path)
    }
}
