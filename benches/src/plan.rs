//! One contender in one case: is it right, and what does a batch of its requests look like?

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{
    apps::{Application, Contender, Cookies, Kind, Local},
    case::Case,
    content::Content,
    jar::{Jar, visit},
};

/// How many sessions may be left behind before a case that grows begins again with an empty store.
const MANY: usize = 20_000;

/// Sends the requests of a batch when it is awaited, and says how long that took.
pub type Batch<'a> = Local<'a, Result<Duration>>;

/// One contender in one case, ready to be measured.
pub struct Plan<'a> {
    /// Who.
    pub contender: &'a Contender,
    case: Case,
    content: Arc<Content>,
    app: Box<dyn Application>,
    jar: Jar,
    /// How many requests have left a session behind.
    made: usize,
    /// How often the session has been counted up.
    counted: usize,
}

impl<'a> Plan<'a> {
    /// Builds the application, makes a session in it, and checks that the case does what it should.
    ///
    /// # Errors
    /// It does not: whoever fails is not measured.
    pub async fn new(contender: &'a Contender, case: Case, content: &Arc<Content>) -> Result<Self> {
        let app = contender.make(content).await?;
        let mut plan = Self {
            contender,
            case,
            content: content.clone(),
            app,
            jar: Jar::default(),
            made: 0,
            counted: 0,
        };
        plan.jar = plan.fresh().await?;
        plan.check().await?;
        Ok(plan)
    }

    async fn visit(&self, case: Case, jar: &mut Jar) -> Result<String> {
        visit(&*self.app, case, jar).await
    }

    /// A browser with a new session.
    async fn fresh(&self) -> Result<Jar> {
        let mut jar = Jar::default();
        self.visit(Case::New, &mut jar).await?;
        if self.has_sessions() {
            ensure!(jar != Jar::default(), "a new session sets no cookie");
        }
        Ok(jar)
    }

    fn has_sessions(&self) -> bool {
        !self.contender.is_floor()
    }

    fn counts_on_the_server(&self) -> bool {
        self.contender.kind == Kind::Memory
    }

    /// That the session is what it should be.
    async fn must_hold_the_user(&self, jar: &Jar) -> Result<()> {
        let user = self.visit(Case::Read, &mut jar.clone()).await?;
        ensure!(user == self.content.user.to_string(), "it reads {user:?}");
        Ok(())
    }

    async fn check(&mut self) -> Result<()> {
        if !self.has_sessions() {
            return self.visit(self.case, &mut Jar::default()).await.map(drop);
        }
        self.must_hold_the_user(&self.jar).await?;
        match self.case {
            Case::Read | Case::New => {}
            Case::ReadWrite => self.must_count().await?,
            Case::Untouched | Case::NoCookie => {
                let mut jar = Jar::default();
                if self.case == Case::Untouched {
                    jar = self.jar.clone();
                }
                let body = self.visit(self.case, &mut jar).await?;
                ensure!(body == "untouched", "it answers {body:?}");
            }
            Case::Regenerate => self.must_regenerate().await?,
        }
        Ok(())
    }

    async fn must_count(&mut self) -> Result<()> {
        let mut jar = self.jar.clone();
        for expected in 1..=3 {
            let visits = self.visit(Case::ReadWrite, &mut jar).await?;
            ensure!(
                visits == expected.to_string(),
                "visit {expected} is {visits:?}"
            );
        }
        self.must_hold_the_user(&jar).await?;
        self.jar = jar;
        self.counted = 3;
        Ok(())
    }

    async fn must_regenerate(&self) -> Result<()> {
        let mut jar = self.jar.clone();
        self.visit(Case::Regenerate, &mut jar).await?;
        ensure!(jar != self.jar, "it keeps the id");
        self.must_hold_the_user(&jar).await?;
        if self.counts_on_the_server() && self.must_hold_the_user(&self.jar).await.is_ok() {
            bail!("the old id still works");
        }
        Ok(())
    }

    /// Gets ready for a batch of requests.
    ///
    /// # Errors
    /// A session for it could not be made.
    pub async fn prepare(&mut self, requests: usize) -> Result<Batch<'_>> {
        if self.case.grows() {
            self.made += requests;
        }
        if self.made > MANY {
            self.app = self.contender.make(&self.content).await?;
            self.made = 0;
        }
        let cookies = self.cookies(requests).await?;
        if self.case == Case::ReadWrite {
            self.counted += requests;
        }
        self.app.prepare(self.case.path(), &cookies)
    }

    /// A floor gets the cookie that a session would have, so that it, too, carries one.
    async fn cookies(&self, requests: usize) -> Result<Cookies> {
        let stand_in = || Some("session=cookie".to_owned());
        Ok(match self.case {
            Case::NoCookie | Case::New => Cookies::Same(None, requests),
            Case::Regenerate if self.has_sessions() => {
                let mut cookies = Vec::with_capacity(requests);
                for _ in 0..requests {
                    cookies.extend(self.fresh().await?.header());
                }
                Cookies::Each(cookies)
            }
            _ => Cookies::Same(self.jar.header().or_else(stand_in), requests),
        })
    }

    /// Checks, after all rounds, that every request has counted.
    ///
    /// # Errors
    /// Some have not.
    pub async fn finish(self) -> Result<()> {
        if self.case == Case::ReadWrite && self.counts_on_the_server() {
            let visits = self.visit(Case::ReadWrite, &mut self.jar.clone()).await?;
            let expected = (self.counted + 1).to_string();
            ensure!(visits == expected, "visit {expected} is {visits:?}");
        }
        Ok(())
    }
}
