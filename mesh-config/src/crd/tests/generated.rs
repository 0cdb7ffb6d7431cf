//! Objects of every kind, generated from the schemas: what is read and written again is the same.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use crate::api::{
    AuthorizationPolicy, DestinationRule, Gateway, PeerAuthentication, ProxyConfig, RequestAuthentication,
    ServiceEntry, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};
use crate::crd::schema::{Form, Schema, Type};
use crate::crd::schema_of;
use crate::document::from_str_noting;
use crate::resource::Kind;

/// Numbers in a row that look like chance; the same seed gives the same object.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }
}

/// A value that fits the types and names of a schema. Texts are durations as well, since many have to be.
fn value(schema: &Schema, draw: &mut Draw, depth: u32) -> Json {
    match schema.of {
        Type::Text if !schema.names.is_empty() => json!(schema.names[draw.below(schema.names.len() as u64) as usize]),
        Type::Text => match schema.form {
            Some(Form::Base64) => json!("YQ=="),
            _ => json!(["3s", "1.5s", "250ms", "1h"][draw.below(4) as usize]),
        },
        Type::Whole => {
            let least = schema.least.unwrap_or(0);
            json!(least + draw.below(u64::from(schema.most.unwrap_or(9_999).min(9_999) - least) + 1) as u32)
        }
        Type::Number => json!(draw.below(200) as f64 / 2.0),
        Type::Boolean => json!(draw.below(2) == 1),
        Type::List => {
            let inner = schema.inner.expect("a list says what its elements are");
            let count = u64::from(schema.least.unwrap_or(0)).max(draw.below(3));
            (0..count).map(|_| value(inner, draw, depth + 1)).collect()
        }
        Type::Map => {
            let keys = ["80", "8080"][..draw.below(3) as usize].iter();
            let entry = |key: &&str| {
                ((*key).to_owned(), schema.inner.map_or(json!("3s"), |inner| value(inner, draw, depth + 1)))
            };
            Json::Object(keys.map(entry).collect())
        }
        Type::Object => object(schema, draw, depth),
    }
}

fn object(schema: &Schema, draw: &mut Draw, depth: u32) -> Json {
    let mut fields = Map::new();
    for (name, field) in schema.fields {
        // The deeper, the less.
        let wanted = schema.required.contains(name) || draw.below(3 + u64::from(depth)) == 0;
        let is_excluded = schema.exclusive.iter().filter(|group| group.contains(name));
        let taken = is_excluded.into_iter().any(|group| group.iter().any(|other| fields.contains_key(*other)));
        if wanted && !taken {
            fields.insert((*name).to_owned(), value(field, draw, depth + 1));
        }
    }
    Json::Object(fields)
}

/// Whether the object of a seed could be read; if so, it is the same after being written.
fn comes_back<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(kind: Kind, seed: u64) -> bool {
    let (schema, _) = schema_of(kind).expect("a kind of Istio's");
    let generated = value(schema, &mut Draw(seed), 0);
    let Ok((read, unknown)) = from_str_noting::<T>(&generated.to_string()) else { return false };
    assert_eq!(unknown, [""; 0], "{generated}");
    let written = serde_json::to_string(&read).expect("it can be written");
    let again = from_str_noting::<T>(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!((again.0, again.1), (read, Vec::new()), "{generated}");
    true
}

fn each_comes_back(seed: u64) -> usize {
    let results = [
        comes_back::<AuthorizationPolicy>(Kind::AuthorizationPolicy, seed),
        comes_back::<DestinationRule>(Kind::DestinationRule, seed),
        comes_back::<Gateway>(Kind::Gateway, seed),
        comes_back::<PeerAuthentication>(Kind::PeerAuthentication, seed),
        comes_back::<ProxyConfig>(Kind::ProxyConfig, seed),
        comes_back::<RequestAuthentication>(Kind::RequestAuthentication, seed),
        comes_back::<ServiceEntry>(Kind::ServiceEntry, seed),
        comes_back::<Sidecar>(Kind::Sidecar, seed),
        comes_back::<Telemetry>(Kind::Telemetry, seed),
        comes_back::<VirtualService>(Kind::VirtualService, seed),
        comes_back::<WorkloadEntry>(Kind::WorkloadEntry, seed),
        comes_back::<WorkloadGroup>(Kind::WorkloadGroup, seed),
    ];
    results.iter().filter(|read| **read).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_read_and_written_again_is_the_same_for_every_kind(seed in any::<u64>()) {
        each_comes_back(seed);
    }
}

#[test]
fn most_of_what_is_generated_can_be_read() {
    let read: usize = (0..200).map(each_comes_back).sum();
    assert!(read > 200 * 12 * 2 / 3, "{read} of {}", 200 * 12);
}
