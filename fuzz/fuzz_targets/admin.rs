//! Fuzzes the bodies and queries of the admin API: every call is answered, never with a failure of the server. The first byte chooses an
//! operation; the others edit its example.

#![no_main]

#[path = "../admin.rs"]
mod admin;
#[path = "../inputs.rs"]
mod inputs;

thread_local! {
    // Never dropped: at the thread's end its runtime would reach for thread-local values that are gone by then.
    static API: &'static admin::AdminApi = Box::leak(Box::new(admin::AdminApi::start()));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((number, edits)) = bytes.split_first() else { return };
    API.with(|api| {
        let number = usize::from(*number);
        api.check(number, edits);
        api.check(number, &inputs::edited(api.example(number).as_bytes(), edits));
        if edits.first().is_some_and(|edit| edit % 64 == 0) {
            api.reset();
        }
    });
});
