//! Who is believed, certificate by certificate.
