//! `arvel-session migrate`: the table of the `database` driver.

use std::process::ExitCode;

use arvel_session::{SessionConfig, store::DatabaseStore};

use crate::{
    Ending, block_on,
    config::setting,
    output::{note, print},
};

const DRIVER: &str = "database";

pub(crate) fn run(only_print: bool) -> Ending {
    let config = SessionConfig::load()?;
    let settings = config.settings();
    if settings.database_url.is_none() && settings.driver != DRIVER {
        let driver = setting(&config, "driver");
        return Err(format!(
            "{driver}, and only the driver {DRIVER} has a table: set SESSION_DRIVER={DRIVER} and SESSION_DATABASE_URL \
             (sqlite:sessions.db, postgres://user:password@host/database, …)"
        )
        .into());
    }
    let store = DatabaseStore::from_config(&config)?;
    if only_print {
        print(&format!("{}\n", store.migration_sql().trim_end()))?;
        return Ok(ExitCode::SUCCESS);
    }
    block_on(store.migrate())??;
    print(&format!("the table {} is ready\n", settings.database_table))?;
    if settings.driver != DRIVER {
        note(&format!(
            "{}: the table is not used before SESSION_DRIVER={DRIVER} is set",
            setting(&config, "driver")
        ));
    }
    Ok(ExitCode::SUCCESS)
}
