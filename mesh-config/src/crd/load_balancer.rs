//! `loadBalancer`.

use super::connection_pool::SPAN;
use super::schema::{BOOLEAN, NUMBER, Schema, TEXT, UNSIGNED, WHOLE, list, map, object, one_of};

pub(super) const LOAD_BALANCER: Schema = object(&[
    ("consistentHash", CONSISTENT_HASH),
    ("localityLbSetting", LOCALITY),
    ("simple", one_of(&["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"])),
    ("warmup", WARMUP),
    ("warmupDurationSecs", SPAN),
    ("zoneAwareLbSetting", ZONE_AWARE),
])
.exclusive(&[&["simple", "consistentHash"]]);

const CONSISTENT_HASH: Schema = object(&[
    ("httpCookie", COOKIE),
    ("httpHeaderName", TEXT),
    ("httpQueryParameterName", TEXT),
    ("maglev", object(&[("tableSize", WHOLE.at_least(0))])),
    ("minimumRingSize", WHOLE.at_least(0)),
    ("ringHash", object(&[("minimumRingSize", WHOLE.at_least(0))])),
    ("useSourceIp", BOOLEAN),
])
.exclusive(&[&["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"], &["ringHash", "maglev"]]);

const COOKIE: Schema = object(&[
    ("attributes", list(&object(&[("name", TEXT), ("value", TEXT)]).required(&["name"]))),
    ("name", TEXT),
    ("path", TEXT),
    ("ttl", TEXT),
])
.required(&["name"]);

const FAILOVER: Schema = object(&[("from", TEXT), ("to", TEXT)]);

const LOCALITY: Schema = object(&[
    ("distribute", list(&object(&[("from", TEXT), ("to", map(&UNSIGNED))]))),
    ("enabled", BOOLEAN.nullable()),
    ("failover", list(&FAILOVER)),
    ("failoverPriority", list(&TEXT)),
]);

const WARMUP: Schema = object(&[
    ("aggression", NUMBER.at_least(0).nullable()),
    ("duration", SPAN),
    ("minimumPercent", NUMBER.at_least(0).at_most(100).nullable()),
])
.required(&["duration"]);

const ZONE_AWARE: Schema = object(&[
    ("enabled", BOOLEAN.nullable()),
    ("failover", list(&FAILOVER)),
    ("failoverPriority", list(&TEXT)),
    ("minClusterSize", WHOLE.at_least(1).nullable()),
]);
