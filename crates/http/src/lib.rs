//! What every Admit server does with HTTP.
