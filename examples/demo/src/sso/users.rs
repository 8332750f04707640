//! The people of the company.

/// Someone who can sign in.
#[derive(Clone)]
pub struct User {
    /// The name typed at the login form.
    pub username: String,
    /// The password typed at the login form.
    pub password: String,
    /// The `sub` claim: opaque, never the name.
    pub sub: String,
    /// The `name` claim.
    pub name: String,
    /// The `email` claim.
    pub email: String,
    /// The `roles` claim.
    pub roles: Vec<String>,
    /// The `acr` claim: how strongly this person signs in.
    pub acr: String,
}

impl User {
    /// alice: an engineer who may use notes.
    pub fn alice() -> User {
        User::employee(
            "alice",
            "wonderland",
            "u-7f3a19c2e4",
            "Alice Example",
            &["engineering", "notes-users"],
        )
    }

    /// bob: another engineer who may use notes.
    pub fn bob() -> User {
        User::employee("bob", "builder", "u-c05d88b1a7", "Bob Example", &["engineering", "notes-users"])
    }

    fn employee(username: &str, password: &str, sub: &str, name: &str, roles: &[&str]) -> User {
        User {
            username: username.to_owned(),
            password: password.to_owned(),
            sub: sub.to_owned(),
            name: name.to_owned(),
            email: format!("{username}@company.example"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            acr: "urn:company:acr:password".to_owned(),
        }
    }
}
