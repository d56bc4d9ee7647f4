internal import Glibc

/// The three descriptors that every program has.
public enum StandardDescriptors {
    /// Puts something in the place of those that whoever started this process has closed: the next file that is opened
    /// would be there, and get what is written to the standard error. Reading from it ends at once, and writing to it
    /// fails.
    public static func occupy() {
        for number in CInt(0)...2 where fcntl(number, F_GETFD) < 0 {
            let descriptor = open("/dev/null", O_RDONLY)
            // The lowest that is free, which is this one.
            if descriptor >= 0, descriptor != number { close(descriptor) }
        }
    }
}
