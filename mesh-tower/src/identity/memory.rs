//! [`MemoryIdentity`]: material that the application provides.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{BadMaterial, IdentitySink, IdentitySource, Material};

/// Material given by the application, which keeps a clone to replace it by.
#[derive(Clone, Debug)]
pub struct MemoryIdentity {
    current: watch::Sender<Material>,
}

impl MemoryIdentity {
    /// Begins with this.
    pub fn new(material: Material) -> Self {
        Self { current: watch::Sender::new(material) }
    }

    /// Goes on with this: in use at once for new handshakes of the meshes that have a clone.
    pub fn replace(&self, material: Material) {
        self.current.send_replace(material);
    }
}

impl IdentitySource for MemoryIdentity {
    fn name(&self) -> &str {
        "memory"
    }

    fn first(&mut self) -> Result<Material, BadMaterial> {
        Ok(self.current.borrow().clone())
    }

    fn run(self: Box<Self>, sink: IdentitySink) -> BoxFuture<'static, ()> {
        let mut changes = self.current.subscribe();
        // What was replaced since the first was asked for counts as a change too.
        changes.mark_changed();
        async move {
            while changes.changed().await.is_ok() {
                let material = changes.borrow_and_update().clone();
                sink.replace(material);
            }
        }
        .boxed()
    }
}
