//! Start of the background services.

use std::rc::Rc;

use super::{
    acme, certificates, control::Control, file_watch::FileWatch, overload, rollouts, token_keys,
};
use crate::admin::AdminServer;

impl Control {
    /// Starts the background services; returns the watch on the file.
    pub(super) fn start_services(&mut self, admin: Option<AdminServer>) -> FileWatch {
        let services = &mut self.services;
        services.start("timer wheel", |stop| async move {
            tokio::select! {
                () = stop.told() => {}
                () = crate::timer::turn() => {}
            }
            Ok(())
        });
        self.named_files.watch(services, self.requests.clone());
        self.shared_config.follow(
            services,
            &self.shared.metrics.control(),
            &self.requests,
            &self.board.outages,
        );
        overload::start(services, &self.shared, &self.events);
        rollouts::start(
            services,
            &self.shared,
            &self.board,
            &self.events,
            &self.path,
        );
        token_keys::start(services, &self.shared, &self.events);
        let outages = &self.board.outages;
        certificates::start(services, &self.shared, &self.events, &self.tickets, outages);
        acme::start(services, &self.shared, &self.events, &self.challenges);
        self.metrics.start(services);
        self.traces.start(services);
        if let Some(admin) = admin {
            // Goes on with the same socket when it failed.
            let admin = Rc::new(tokio::sync::Mutex::new(admin));
            services.start("admin API", move |stop| {
                let admin = Rc::clone(&admin);
                async move {
                    admin.lock().await.run(stop.told()).await;
                    Ok(())
                }
            });
        }
        let told = self.of_file();
        FileWatch::start(
            &mut self.services,
            self.path.clone(),
            told,
            self.requests.clone(),
        )
    }
}
