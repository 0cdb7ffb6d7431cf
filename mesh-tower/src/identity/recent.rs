//! Certificates that were read a moment ago: who comes again on another connection shows the same one.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mesh_core::mesh_tls::ToldOfClients;
use rustls_pki_types::CertificateDer;

use super::peer::Certified;

/// So many are kept; one more takes the place of another.
const PLACES: usize = 64;

/// What the last callers' certificates were read as. Nobody waits for anybody.
pub(super) struct Recent([ArcSwapOption<Known>; PLACES]);

struct Known {
    der: CertificateDer<'static>,
    /// Of this side's credentials, and what it tells of callers: both are part of what was read.
    version: u64,
    told: ToldOfClients,
    read: Arc<Certified>,
}

impl Default for Recent {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwapOption::empty()))
    }
}

impl Recent {
    /// What a certificate was read as, or is now; all of its bytes have to be the same.
    pub(super) fn certified(
        &self,
        der: &CertificateDer<'_>,
        version: u64,
        told: ToldOfClients,
        read: impl FnOnce() -> Option<Certified>,
    ) -> Option<Arc<Certified>> {
        let place = &self.0[place(der)];
        if let Some(known) = &*place.load()
            && known.version == version
            && known.told == told
            && known.der == *der
        {
            return Some(Arc::clone(&known.read));
        }
        let read = Arc::new(read()?);
        let der = der.clone().into_owned();
        place.store(Some(Arc::new(Known { der, version, told, read: Arc::clone(&read) })));
        Some(read)
    }
}

/// By the end of its signature, which is as good as chance. Who makes one up comes to a place of somebody else, no more.
fn place(der: &[u8]) -> usize {
    der.iter().rev().take(8).fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % PLACES
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("places", &PLACES).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(first: u8) -> CertificateDer<'static> {
        vec![first, 1, 2, 3, 4, 5, 6, 7, 8, 9].into()
    }

    #[test]
    fn a_certificate_is_read_once_until_something_is_different() {
        let recent = Recent::default();
        let told = ToldOfClients::ALL;
        let mut reads = 0;
        let mut read = |der: CertificateDer<'_>, version, told| {
            recent.certified(&der, version, told, || {
                reads += 1;
                Some(Certified { not_after: reads, ..Certified::default() })
            })
        };
        let mut end = |der, version, told| read(der, version, told).map(|read| read.not_after);
        assert_eq!((end(der(0), 1, told), end(der(0), 1, told)), (Some(1), Some(1)));
        // Another one of the same place, other credentials, and something else that is told.
        assert_eq!((end(der(1), 1, told), end(der(1), 2, told)), (Some(2), Some(3)));
        let less = ToldOfClients { subject: !told.subject, ..told };
        assert_eq!((end(der(1), 2, less), end(der(1), 2, less)), (Some(4), Some(4)));
        assert_eq!(end(der(0), 2, less), Some(5));
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let recent = Recent::default();
        assert!(recent.certified(&der(0), 1, ToldOfClients::ALL, || None).is_none());
        assert!(recent.certified(&der(0), 1, ToldOfClients::ALL, || Some(Certified::default())).is_some());
    }
}
