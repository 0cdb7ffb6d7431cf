//! Where a workload's material comes from.

use futures_util::future::BoxFuture;

use super::state::IdentityHandle;
use super::{BadMaterial, Material};

/// A source of [`Material`].
pub trait IdentitySource: Send + 'static {
    /// What it is called in logs.
    fn name(&self) -> &str;

    /// The first material, before the mesh starts.
    ///
    /// # Errors
    /// Why there is none: the mesh does not start then.
    fn first(&mut self) -> Result<Material, BadMaterial>;

    /// Gives every later one, until the mesh ends.
    fn run(self: Box<Self>, sink: IdentitySink) -> BoxFuture<'static, ()>;
}

/// Takes material into use.
#[derive(Clone, Debug)]
pub struct IdentitySink {
    handle: IdentityHandle,
}

impl IdentitySink {
    pub(crate) fn new(handle: IdentityHandle) -> Self {
        Self { handle }
    }

    /// Handshakes from now on are made with this.
    pub fn replace(&self, material: Material) {
        self.handle.replace(material);
    }
}
