//! Signals that end a command which has something to finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// SIGTERM and SIGINT.
pub struct EndSignals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl EndSignals {
    pub fn listen() -> std::io::Result<EndSignals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(EndSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl EndSignals {
    pub fn listen() -> std::io::Result<EndSignals> {
        Ok(EndSignals {})
    }

    /// Waits for one of them.
    pub async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Sets a flag at SIGTERM and SIGINT.
pub fn watch(ended: Arc<AtomicBool>) {
    let watch = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut signals) = EndSignals::listen() else { return };
            loop {
                signals.wait().await;
                ended.store(true, Ordering::Relaxed);
            }
        });
    };
    // Without the thread, a signal ends the program at once.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
}
