//! What an agent says: `X509SVIDResponse` of the SPIFFE Workload API.

use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::protobuf::{Fields, Malformed};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::super::anchors::Anchors;
use super::super::material::Parts;
use super::super::{BadMaterial, Material, der};

/// One of the identities.
#[derive(Default)]
struct Svid<'a> {
    id: &'a str,
    chain: &'a [u8],
    key: &'a [u8],
    bundle: &'a [u8],
    hint: &'a str,
}

#[derive(Default)]
struct Response<'a> {
    svids: Vec<Svid<'a>>,
    revoked: Vec<&'a [u8]>,
    /// By the ids of their trust domains.
    federated: Vec<(&'a str, &'a [u8])>,
}

/// The material of an answer.
pub(super) fn material(answer: &[u8], hint: Option<&str>) -> Result<Material, BadMaterial> {
    let response = Response::read(answer).map_err(|error| BadMaterial::Unreadable(error.to_string()))?;
    let is_whole =
        |svid: &Svid<'_>| ![svid.id.as_bytes(), svid.chain, svid.key, svid.bundle].iter().any(|field| field.is_empty());
    if !response.svids.iter().all(is_whole) {
        return Err(unusable("an identity lacks its certificate, its key, its roots or its name"));
    }
    let chosen = response.svids.iter().find(|svid| hint.is_none_or(|hint| svid.hint == hint));
    let svid = chosen.ok_or_else(|| match hint {
        Some(hint) => BadMaterial::Unreadable(format!("there is no identity with the hint {hint:?}")),
        None => unusable("there is no identity"),
    })?;
    let id: SpiffeId = svid.id.parse().map_err(BadMaterial::Identity)?;
    let chain = der::split(svid.chain).ok_or(BadMaterial::Certificate)?;
    let mut material = Material::of(Parts { chain, key: svid.key.to_vec(), roots: anchors(svid.bundle)? })?;
    if *material.id() != id {
        return Err(unusable("the certificate is of another identity than is said"));
    }
    let own = id.trust_domain();
    for other in &response.svids {
        let id: SpiffeId = other.id.parse().map_err(BadMaterial::Identity)?;
        if id.trust_domain() != own {
            material = material.with_anchors(id.trust_domain(), anchors(other.bundle)?);
        }
    }
    for (domain, bundle) in response.federated {
        let name = domain.strip_prefix("spiffe://").unwrap_or(domain);
        let domain: TrustDomain = name.parse().map_err(BadMaterial::Identity)?;
        // An empty bundle is one that was taken back.
        if domain.as_str() != own && !bundle.is_empty() {
            material = material.with_anchors(domain.as_str(), anchors(bundle)?);
        }
    }
    let lists: Vec<_> = response.revoked.into_iter().map(CertificateRevocationListDer::from).collect();
    material.with_revoked_everywhere(&lists)
}

fn unusable(why: &str) -> BadMaterial {
    BadMaterial::Unreadable(why.to_owned())
}

fn anchors(bundle: &[u8]) -> Result<Anchors, BadMaterial> {
    let certificates: Vec<CertificateDer<'static>> = der::split(bundle).ok_or(BadMaterial::Certificate)?;
    Anchors::new(&certificates)
}

impl<'a> Response<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut response = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, svid) => response.svids.push(Svid::read(svid.bytes()?)?),
                (2, list) => response.revoked.push(list.bytes()?),
                (3, entry) => {
                    let (mut domain, mut bundle) = ("", &[][..]);
                    for field in Fields::of(entry.bytes()?) {
                        match field? {
                            (1, key) => domain = key.text()?,
                            (2, value) => bundle = value.bytes()?,
                            _ => {}
                        }
                    }
                    response.federated.push((domain, bundle));
                }
                _ => {}
            }
        }
        Ok(response)
    }
}

impl<'a> Svid<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut svid = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, id) => svid.id = id.text()?,
                (2, chain) => svid.chain = chain.bytes()?,
                (3, key) => svid.key = key.bytes()?,
                (4, bundle) => svid.bundle = bundle.bytes()?,
                (5, hint) => svid.hint = hint.text()?,
                _ => {}
            }
        }
        Ok(svid)
    }
}
