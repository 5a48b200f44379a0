//! Galleries over HTTP: enrolling, listing and removing people, customers' own galleries, planted look-alikes, populations.

use dukcapil_fr_sim::internals::protocol::encoding;
use serde_json::{Value, json};

use crate::matching::changes;
use crate::support::{Body, SITI, SITIS_NIK, Sim, exchange, http, stranger, write_fixture};

/// Returns a picture of a person who is not in the gallery.
fn enrolled_picture() -> Vec<u8> {
    let waves = image::RgbImage::from_fn(200, 260, |x, y| {
        let (x, y) = (x as f32 / 20.0, y as f32 / 20.0);
        let wave = |phase: f32| (127.0 + 60.0 * ((x + phase).sin() + (x * y / 9.0 + phase).cos())) as u8;
        image::Rgb([wave(0.0), wave(0.4), wave(0.8)])
    });
    changes::jpeg(&waves.into(), 90)
}

fn changed() -> Vec<u8> {
    changes::jpeg(&changes::scaled(&image::load_from_memory(&enrolled_picture()).unwrap(), 0.5), 55)
}

fn enrol(sim: &Sim, body: &Value) -> (u16, Value) {
    sim.admin("POST", "/gallery", &body.to_string())
}

fn found_niks(sim: &Sim, customer: &str, photo: &[u8], threshold: &str) -> Vec<String> {
    let body = sim.request().set("image", encoding::encode(photo)).set("threshold", threshold);
    let answer = sim.call(customer, body.text());
    assert_eq!(answer.code(), "6018");
    answer.candidates().into_iter().map(|(nik, _)| nik).collect()
}

fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let file = if *name == "picture" { "; filename=\"a.jpg\"\r\nContent-Type: image/jpeg" } else { "" };
        body.extend_from_slice(
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

fn post_multipart(sim: &Sim, parts: &[(&str, &[u8])]) -> (u16, Value) {
    let headers = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let answer = exchange(sim.admin_address(), &http("POST", "/gallery", headers, &multipart(parts)));
    (answer.status, answer.json())
}

const NIK: &str = "3273010101909777";
const OTHER: &str = "3273010101909778";

#[test]
fn a_person_enrolled_in_base64_is_found_by_a_changed_photo_until_removed() {
    let sim = Sim::start();
    assert!(found_niks(&sim, "load", &changed(), "7").is_empty());
    let body = json!({ "nik": NIK, "name": "Baru", "pictures": [encoding::encode(&enrolled_picture())] });
    let (status, answer) = enrol(&sim, &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["nik"], &answer["source"], &answer["customer_id"]),
        (&json!(NIK), &json!("api"), &Value::Null)
    );
    let picture = &answer["pictures"][0];
    assert_eq!(
        (&picture["width"], &picture["height"], &picture["format"]),
        (&json!(200), &json!(260), &json!("jpeg"))
    );
    assert_eq!(found_niks(&sim, "load", &changed(), "7"), [NIK]);
    assert_eq!(enrol(&sim, &body).1, answer, "the same picture again changes nothing");
    assert_eq!(sim.admin("GET", &format!("/gallery/{NIK}"), "").1, answer);
    assert_eq!(sim.admin("DELETE", &format!("/gallery/{NIK}"), "").1, json!({ "removed": 1 }));
    assert!(found_niks(&sim, "load", &changed(), "7").is_empty());
    assert_eq!(sim.admin("GET", &format!("/gallery/{NIK}"), "").0, 404);
}

#[test]
fn a_multipart_form_enrols_too_and_adds_pictures() {
    let sim = Sim::start();
    let (picture, other) = (enrolled_picture(), changes::png(&image::load_from_memory(&stranger()).unwrap()));
    let (status, answer) = post_multipart(
        &sim,
        &[("nik", NIK.as_bytes()), ("name", "Ibu Baru".as_bytes()), ("picture", &picture)],
    );
    assert_eq!((status, answer["name"].as_str()), (200, Some("Ibu Baru")), "{answer}");
    let similar = format!(r#"[{{"nik":"{OTHER}","score":6.5}}]"#);
    let (_, answer) = post_multipart(
        &sim,
        &[("nik", NIK.as_bytes()), ("picture", &other), ("similar", similar.as_bytes())],
    );
    assert_eq!(answer["pictures"].as_array().unwrap().len(), 2);
    assert_eq!(answer["name"], "Ibu Baru");
    assert_eq!(found_niks(&sim, "load", &picture, "5"), [NIK, OTHER]);
    assert_eq!(found_niks(&sim, "load", &stranger(), "7"), [NIK]);
    for (parts, expected) in [
        (&[("nik", &b"123"[..]), ("picture", &picture)][..], "a NIK has sixteen digits"),
        (&[("foto", &picture[..])], "unknown part"),
        (&[("picture", &b"GIF89a\x01\x00\x01\x00"[..])], "is GIF"),
        (&[("name", &b"\xFF"[..])], "is not UTF-8"),
        (&[("similar", &b"{}"[..])], "must be a list, not an object"),
    ] {
        let (status, answer) = post_multipart(&sim, parts);
        assert_eq!(status, 400);
        assert!(answer["error"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
    let headers = "Content-Type: multipart/form-data; boundary=XX\r\n";
    let cut = exchange(sim.admin_address(), &http("POST", "/gallery", headers, b"--XX\r\nContent"));
    assert_eq!(cut.status, 400);
}

#[test]
fn a_missing_nik_is_generated_from_the_seed() {
    let body = json!({ "pictures": [encoding::encode(&enrolled_picture())] });
    let niks = |seed| {
        let sim = Sim::with(|builder| builder.seed(seed));
        [(); 2].map(|()| enrol(&sim, &body).1["nik"].as_str().unwrap().to_owned())
    };
    let first = niks(1);
    assert_eq!(first, niks(1));
    assert_ne!(first, niks(2));
    assert_ne!(first[0], first[1]);
    assert!(first[0][12..].parse::<u16>().unwrap() >= 9000);
}

#[test]
fn invalid_enrolments_are_rejected_with_the_reason() {
    let sim = Sim::start();
    let picture = encoding::encode(&enrolled_picture());
    let broken = encoding::encode(&enrolled_picture()[..2000]);
    for (body, status, expected) in [
        (
            json!({ "nik": SITIS_NIK, "pictures": [picture] }),
            409,
            "is already in the gallery: of the fixtures",
        ),
        (json!({ "nik": "3273010101909", "pictures": [picture] }), 400, "a NIK has sixteen digits"),
        (json!({ "nik": NIK }), 400, "an identity needs at least one picture"),
        (json!({ "nik": NIK, "pictures": ["@"] }), 400, "base64"),
        (json!({ "nik": NIK, "pictures": [broken] }), 400, "is truncated"),
        (json!({ "nik": NIK, "pictures": vec![&picture; 11] }), 400, "at most 10 pictures"),
        (json!({ "nik": NIK, "picture": picture }), 400, "unknown key `picture`"),
        (
            json!({ "nik": NIK, "pictures": [picture], "name": "x".repeat(201) }),
            400,
            "at most 200 characters",
        ),
        (json!({ "customer_id": "nobody", "pictures": [picture] }), 404, "no customer has the id"),
        (
            json!({ "nik": NIK, "pictures": [picture], "similar": [{ "nik": NIK, "score": 5 }] }),
            400,
            "similar to itself",
        ),
        (
            json!({ "nik": NIK, "pictures": [picture], "similar": [{ "nik": OTHER, "score": 21 }] }),
            400,
            "is not a score",
        ),
    ] {
        let (got, answer) = enrol(&sim, &body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(expected), "{got} {answer}");
    }
    assert_eq!(sim.admin("GET", "/gallery?limit=1", "").1["total"], 12);
}

#[test]
fn a_customers_enrolment_is_private() {
    let sim = Sim::start();
    let body = |customer: Option<&str>| json!({ "nik": NIK, "customer_id": customer, "pictures": [encoding::encode(&enrolled_picture())] });
    assert_eq!(enrol(&sim, &body(Some("load"))).0, 200);
    assert_eq!(found_niks(&sim, "load", &changed(), "7"), [NIK]);
    assert!(found_niks(&sim, "crowded", &changed(), "13").is_empty());
    let (status, answer) = enrol(&sim, &body(None));
    assert_eq!((status, answer["error"]["path"].as_str()), (409, Some("/nik")), "{answer}");
    assert_eq!(enrol(&sim, &body(Some("crowded"))).0, 200, "another customer never meets it");
    assert_eq!(sim.admin("GET", "/gallery?customer_id=load", "").1["total"], 13);
    assert_eq!(sim.admin("GET", "/gallery", "").1["total"], 14);
    assert_eq!(sim.admin("DELETE", "/gallery?customer_id=load", "").1, json!({ "removed": 1 }));
    assert!(found_niks(&sim, "load", &changed(), "7").is_empty());
    assert_eq!(sim.0.engine().reset_gallery(None), 1);
    assert_eq!(sim.admin("GET", "/gallery", "").1["total"], 12);
    assert_eq!(sim.admin("DELETE", &format!("/gallery/{NIK}"), "").0, 404);
}

#[test]
fn a_removal_in_the_wrong_scope_says_which_is_right() {
    let own = format!(
        "extends = 'load'\n[[gallery.identities]]\nnik = '{OTHER}'\nname = 'Putu'\npictures = ['putu.jpg']"
    );
    let (sim, _directory) = Sim::over(&[("customers/own.toml", &own)]);
    let picture = encoding::encode(&enrolled_picture());
    let enrol_for = |nik: &str, customer: Option<&str>| {
        let body = json!({ "nik": nik, "customer_id": customer, "pictures": [picture] });
        assert_eq!(enrol(&sim, &body).0, 200, "{nik} {customer:?}");
    };
    let refused = |target: &str, code: &str, message: &str, hint: &str| {
        let (status, answer) = sim.admin("DELETE", &format!("/gallery/{target}"), "");
        let error = &answer["error"];
        assert_eq!((status, &error["code"], &error["hint"]), (409, &json!(code), &json!(hint)), "{target}");
        assert_eq!(error["message"], message);
    };
    let removed = |target: &str| {
        assert_eq!(
            sim.admin("DELETE", &format!("/gallery/{target}"), "").1,
            json!({ "removed": 1 }),
            "{target}"
        );
    };
    let for_load = format!("{NIK}?customer_id=load");
    enrol_for(NIK, None);
    refused(&for_load, "other_scope", &format!("{NIK} is enrolled for all customers"), "send no customer_id");
    removed(NIK);
    enrol_for(NIK, Some("load"));
    refused(NIK, "other_scope", &format!("{NIK} is enrolled for load"), "send customer_id=load");
    removed(&for_load);
    // One that is in the fixtures of one customer, and enrolled for another.
    enrol_for(OTHER, Some("load"));
    refused(OTHER, "other_scope", &format!("{OTHER} is enrolled for load"), "send customer_id=load");
    removed(&format!("{OTHER}?customer_id=load"));
    let in_own = format!("{OTHER} is in the fixture customers/own.toml, or in one it extends");
    let in_shared = format!("{SITIS_NIK} is in the fixtures");
    for (target, message) in [
        (OTHER, &in_own),
        (&format!("{OTHER}?customer_id=own"), &in_own),
        (SITIS_NIK, &in_shared),
        (&format!("{SITIS_NIK}?customer_id=load"), &in_shared),
    ] {
        refused(target, "in_fixtures", message, "edit the fixture files");
    }
}

#[test]
fn the_gallery_is_listed_with_thumbnails() {
    let sim = Sim::start();
    let (_, listing) = sim.admin("GET", "/gallery?customer_id=demo&limit=3", "");
    let siti = &listing["identities"][0];
    assert_eq!(
        (&siti["nik"], &siti["source"], &siti["name"]),
        (&json!(SITIS_NIK), &json!("fixture"), &json!("Siti Contoh"))
    );
    assert_eq!((listing["identities"].as_array().unwrap().len(), &listing["total"]), (3, &json!(12)));
    let thumbnail = |path: &str| exchange(sim.admin_address(), &http("GET", path, "", b""));
    let answer = thumbnail(&format!("/gallery/{SITIS_NIK}/thumbnail"));
    assert!(answer.head.to_ascii_lowercase().contains("content-type: image/jpeg"), "{}", answer.head);
    let picture = image::load_from_memory(&answer.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (72, 96));
    assert_eq!(thumbnail(&format!("/gallery/{SITIS_NIK}/thumbnail?picture=1")).status, 404);
    for wrong in ["/gallery?limit=0", "/gallery?nik=1", "/gallery?limit=x"] {
        assert_eq!(sim.admin("GET", wrong, "").0, 400, "{wrong}");
    }
}

#[test]
fn enrolments_survive_a_reload() {
    let (sim, directory) = Sim::over(&[]);
    enrol(&sim, &json!({ "nik": NIK, "pictures": [encoding::encode(&enrolled_picture())] }));
    write_fixture(directory.path(), "gallery/gallery.toml", "");
    sim.0.reload().unwrap();
    assert_eq!(found_niks(&sim, "load", &changed(), "7"), [NIK]);
    assert_eq!(sim.admin("GET", "/gallery", "").1["total"], 1);
}

/// Starts with Siti and a twin in the shared gallery, and a customer with its own gallery.
fn with_own_gallery(own: &str) -> (Sim, tempfile::TempDir) {
    let gallery = format!(
        "[[identities]]\nnik = '{SITIS_NIK}'\nname = 'Siti'\npictures = ['siti.jpg']\n\
         similar = [{{ nik = '{NIK}', score = 6.5 }}, {{ nik = '3273010101909779', score = 12 }}]\n"
    );
    Sim::over(&[("gallery/gallery.toml", &gallery), ("customers/own.toml", own)])
}

#[test]
fn planted_look_alikes_are_returned_with_their_scores() {
    let (sim, _directory) = with_own_gallery("extends = 'load'");
    let answer = sim.call("load", sim.request().set("threshold", "5").text());
    let candidates = Value::Object(answer.candidates()).to_string();
    assert_eq!(candidates, format!("{{\"{SITIS_NIK}\":20.0,\"3273010101909779\":12.0,\"{NIK}\":6.5}}"));
    assert_eq!(found_niks(&sim, "load", SITI, "7"), [SITIS_NIK, "3273010101909779"]);
}

#[test]
fn a_customers_own_gallery_extends_or_replaces_the_shared_one() {
    let own = |shared: &str| {
        format!(
            "extends = 'load'\n[gallery]\n{shared}\n[[gallery.identities]]\nnik = '{OTHER}'\nname = 'Putu'\npictures = ['putu.jpg']\n"
        )
    };
    let putu = include_bytes!("../../fixtures/gallery/putu.jpg");
    let (sim, _directory) = with_own_gallery(&own(""));
    assert_eq!(found_niks(&sim, "own", putu, "7"), [OTHER]);
    assert_eq!(found_niks(&sim, "own", SITI, "19"), [SITIS_NIK]);
    assert!(found_niks(&sim, "load", putu, "7").is_empty());
    let (sim, directory) = with_own_gallery(&own("shared = false"));
    assert_eq!(found_niks(&sim, "own", putu, "7"), [OTHER]);
    assert!(found_niks(&sim, "own", SITI, "7").is_empty());
    write_fixture(directory.path(), "customers/heir.toml", "extends = 'own'\ngallery = { shared = true }");
    sim.0.reload().unwrap();
    assert_eq!(
        (found_niks(&sim, "heir", putu, "19"), found_niks(&sim, "heir", SITI, "19")),
        (vec![OTHER.to_owned()], vec![SITIS_NIK.to_owned()])
    );
}

#[test]
fn without_perceptual_matching_only_the_file_is_found() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "matcher = { perceptual = false }")]);
    assert_eq!(found_niks(&sim, "load", SITI, "7"), [SITIS_NIK]);
    let copy = changes::png(&image::load_from_memory(SITI).unwrap());
    assert!(found_niks(&sim, "load", &copy, "1").is_empty());
}

/// Expected are 2,850, 28.5 and 0.285 look-alikes per photo; the last is 11.4 over 40 photos, with a standard deviation of 3.4.
#[test]
fn the_crowded_customer_returns_ten_ten_and_almost_none() {
    let sim = Sim::start();
    let mut photo = stranger();
    let mut at_nine = 0;
    for number in 0..40 {
        photo.push(number);
        for threshold in ["5", "7"] {
            assert_eq!(found_niks(&sim, "crowded", &photo, threshold).len(), 10, "{threshold}");
        }
        at_nine += found_niks(&sim, "crowded", &photo, "9").len();
    }
    assert!((1..=25).contains(&at_nine), "{at_nine}");
}

#[test]
fn at_threshold_7_about_28_look_alikes_are_returned_if_allowed() {
    let more = "extends = 'crowded'\npolicy = { max_results = 1000 }";
    let (sim, _directory) = Sim::over(&[("customers/wide.toml", more)]);
    let mut photo = stranger();
    let mut found_in_all = 0;
    for number in 0..20 {
        photo.push(number);
        found_in_all += found_niks(&sim, "wide", &photo, "7").len();
    }
    // 570 expected, with a standard deviation of 24.
    assert!((474..=666).contains(&found_in_all), "{found_in_all}");
}

#[test]
fn look_alikes_are_the_same_for_the_same_photo_and_seed_and_siti_stays_the_best() {
    let answer = |seed| {
        let sim = Sim::with(|builder| builder.seed(seed));
        let body: Body = sim.request().set("threshold", "6");
        [(); 2].map(|()| sim.call("crowded", body.text()).body)
    };
    let [first, again] = answer(3);
    assert_eq!(first, again);
    assert_eq!(first, answer(3)[0]);
    assert_ne!(first, answer(4)[0]);
    let sim = Sim::start();
    assert_eq!(found_niks(&sim, "crowded", SITI, "7")[0], SITIS_NIK);
    assert_eq!(found_niks(&sim, "crowded", SITI, "13"), [SITIS_NIK]);
}

#[test]
fn customers_without_a_population_use_the_simulators() {
    let (sim, _directory) = Sim::over(&[
        ("simulator.toml", "population = 285_000_000"),
        ("customers/alone.toml", "extends = 'load'\npopulation = 0"),
    ]);
    assert_eq!(found_niks(&sim, "load", &stranger(), "5").len(), 10);
    assert!(found_niks(&sim, "alone", &stranger(), "5").is_empty());
}

#[test]
fn a_rule_matches_a_person_by_a_changed_photo() {
    let rule = format!(
        "extends = 'load'\n[[rules]]\nwhen = {{ image = {{ similar_to = '{SITIS_NIK}' }} }}\nreply = {{ code = '6014' }}"
    );
    let (sim, _directory) = Sim::over(&[("customers/own.toml", &rule)]);
    let copy = changes::jpeg(&changes::scaled(&image::load_from_memory(SITI).unwrap(), 0.5), 60);
    let code =
        |photo: &[u8]| sim.call("own", sim.request().set("image", encoding::encode(photo)).text()).code();
    assert_eq!((code(&copy), code(&stranger())), ("6014".to_owned(), "6018".to_owned()));
}
