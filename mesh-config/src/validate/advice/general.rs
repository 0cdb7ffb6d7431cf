//! What many kinds have in common. Asked last.

use super::{Advice, refused};

pub(super) const ADVICE: &[Advice] = &[
    refused("duration must be greater than 1ms", "to have no limit, leave the field out: 0 does not turn it off"),
    refused("only durations to ms precision are supported", "round it to milliseconds"),
    refused("must be in the range 1..65535", "give the port's number"),
    refused("invalid port name", "a name has letters, digits and hyphens, such as `http-web`"),
    refused(
        "unsupported protocol",
        "use HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS, MYSQL or UDP, or leave it out",
    ),
    refused("cannot be all-numeric", "an address of IPv4 has four numbers; a name does not end in one"),
    refused("empty domain name not allowed", "give a host name"),
    refused("too long (max 255)", "shorten the name"),
    refused(
        "domain name",
        "a name is made of labels with letters, digits and hyphens between dots; a `*` may stand for the first one. \
         No scheme, port, path or underscore",
    ),
    refused("is not a valid CIDR block", "a block is an address and a number of bits, such as `10.0.0.0/8`"),
    refused("is not a valid IP", "give an address such as `10.1.2.3`, without leading zeros"),
    refused(
        "is not an absolute path to a file",
        "a socket is a path from the root, `unix:///run/app.sock`, or `unix://@NAME`",
    ),
    refused(
        "invalid tag key",
        "a key is a name, with a DNS name and a slash in front perhaps: `app.kubernetes.io/name`",
    ),
    refused("invalid tag value", "a value has letters, digits, `-`, `_` and `.`, and at most 63 of them"),
    refused("sourceNamespace match", "give the name of one namespace"),
    refused("duplicate entries in exportTo", "list each namespace once; `.` is the own one"),
    refused("cannot have both public (*) and non-public", "`*` is everybody: leave the others out"),
    refused("cannot export service entry to no one (~) and someone", "leave `~` or the others out"),
    refused("exportTo ~ (none)", "`~` hides a ServiceEntry only; `.` keeps the object in its own namespace"),
    refused("allowed as exportTo entry", "use a namespace, `.` for the own one, or `*` for all"),
    refused("annotation found", "take the annotation out"),
];
