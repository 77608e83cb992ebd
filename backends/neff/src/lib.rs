//! The NEFF container: writer, reader and our instruction encoding.
