//! A shop in which every example of the document can be run.

use crate::harness::{Adapter, sale, simulator, until};
use ofd_sim::{Plan, Rule, Simulator};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The token of the examples.
pub const OPERATOR: &str = "operator-0123456789abcdef";

pub struct Shop {
    pub adapter: Adapter,
    _sim: Simulator,
    folder: tempfile::TempDir,
}

impl Shop {
    /// What the examples name is there: a receipt that was not printed, one of which nobody knows, two dead letters,
    /// one that the OFD does not take.
    pub async fn open() -> Self {
        let sim = simulator().await;
        let mut reject = Rule::reject(7);
        reject.when.document = Some("receipt".into());
        reject.when.pos_id = Some("POS-004".into());
        let mut fail = Rule::fail(500);
        fail.when.document = Some("receipt".into());
        fail.when.pos_id = Some("POS-005".into());
        sim.set_faults(Plan::ok().rule(reject).rule(fail));
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display();
        std::fs::write(folder.path().join("operator.token"), OPERATOR).unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [auth]\ntokens = [{{ name = \"operator\", role = \"operator\", token_file = \"{dir}/operator.token\" }}]\n\
             [buffer]\nurl = \"sqlite://{dir}/data/buffer.db\"\nmin_free_disk = \"1MiB\"\n\
             [sync]\ninterval = \"1s\"\nretry_after = \"50ms\"\n\
             [ofd]\nkind = \"http\"\nbase_url = \"{}\"\ntimeout = \"2s\"\n\
             [kkt]\nprint_timeout = \"1s\"\n",
            sim.base_url()
        );
        std::fs::write(folder.path().join("kkt.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.args(["serve", "--config"]).arg(folder.path().join("kkt.toml")).env_clear();
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        let shop = Self { adapter: Adapter::spawn(command), _sim: sim, folder };
        shop.fill().await;
        shop
    }

    async fn fill(&self) {
        self.sell("POS-002", "pos-002-2026-000006").await;
        self.set_faults("POS-002", "paper_out = true\n");
        assert_eq!(self.sell("POS-002", "pos-002-2026-000007").await["status"], "buffered");
        self.sell("POS-003", "pos-003-2026-000010").await;
        self.set_faults("POS-003", "hang_after_print = 1\nlose_find = 1\n");
        self.sell("POS-003", "pos-003-2026-000011").await;
        for key in ["pos-004-2026-000003", "pos-004-2026-000004"] {
            self.sell("POS-004", key).await;
        }
        self.sell("POS-005", "pos-005-2026-000005").await;
        until("it holds up its lane", async || {
            let worker = self.get("/v1/kkt/worker/status").await;
            let mut lanes = worker["lanes"].as_array().unwrap().iter();
            lanes.any(|lane| lane["device"] == "POS-005" && lane["head"].is_object()).then_some(())
        })
        .await;
        for (key, state) in [
            ("pos-003-2026-000011", "print_unknown"),
            ("pos-004-2026-000003", "dead"),
            ("pos-004-2026-000004", "dead"),
        ] {
            until(state, async || {
                let document = self.get(&format!("/v1/kkt/receipt/{key}")).await;
                (document["state"] == state).then_some(())
            })
            .await;
        }
    }

    fn set_faults(&self, device: &str, faults: &str) {
        let folder = self.folder.path().join("data/virtual-kkt").join(device);
        std::fs::write(folder.join("faults.toml"), faults).unwrap();
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.to_uppercase().parse().unwrap();
        self.adapter.http.request(method, format!("{}{path}", self.adapter.url)).bearer_auth(OPERATOR)
    }

    pub async fn send(&self, request: RequestBuilder) -> Response {
        request.send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(self.request("get", path)).await.json().await.unwrap()
    }

    async fn sell(&self, pos: &str, key: &str) -> Value {
        let request = self.request("post", "/v1/kkt/receipt").header("Idempotency-Key", key);
        let answer = self.send(request.json(&sale(pos, "200.00"))).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// The document of the API, as the adapter gives it.
    pub async fn document(&self) -> Value {
        self.get("/openapi.json").await
    }

    /// A place for files of the test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A program of the Python environment that `cargo xtask test --install` makes.
pub fn python(program: &str) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from);
    let file = target.join("python/bin").join(program);
    assert!(file.exists(), "{} is not here; `cargo xtask test --install` brings it", file.display());
    Command::new(file)
}

/// Both outputs as text.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
