//! The languages with rules of their own. Not here: telling which one a text has (`detect`).

use frostem::Algorithm;
use icu_properties::props::Script;
use whatlang::Lang;

/// A document's language, as far as its words' terms depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// None of the others, or too little text to tell. Its words are stemmed by the most common language of their script.
    Undetermined,
    Arabic,
    Armenian,
    Catalan,
    Czech,
    Danish,
    Dutch,
    English,
    Estonian,
    Finnish,
    French,
    German,
    Greek,
    Hindi,
    Hungarian,
    Indonesian,
    Italian,
    Lithuanian,
    Norwegian,
    Persian,
    Polish,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    Ukrainian,
    Vietnamese,
}

struct Row {
    language: Language,
    /// BCP 47.
    code: &'static str,
    lang: Lang,
    script: Script,
    /// `None` for a language whose words have one form.
    algorithm: Option<Algorithm>,
}

const fn row(language: Language, code: &'static str, lang: Lang, script: Script, algorithm: Algorithm) -> Row {
    Row {
        language,
        code,
        lang,
        script,
        algorithm: Some(algorithm),
    }
}

/// What is not in it is [`Language::Undetermined`].
const ROWS: &[Row] = &[
    row(Language::Arabic, "ar", Lang::Ara, Script::Arabic, Algorithm::Arabic),
    row(
        Language::Armenian,
        "hy",
        Lang::Hye,
        Script::Armenian,
        Algorithm::Armenian,
    ),
    row(Language::Catalan, "ca", Lang::Cat, Script::Latin, Algorithm::Catalan),
    row(Language::Czech, "cs", Lang::Ces, Script::Latin, Algorithm::Czech),
    row(Language::Danish, "da", Lang::Dan, Script::Latin, Algorithm::Danish),
    row(Language::Dutch, "nl", Lang::Nld, Script::Latin, Algorithm::Dutch),
    row(Language::English, "en", Lang::Eng, Script::Latin, Algorithm::English),
    row(Language::Estonian, "et", Lang::Est, Script::Latin, Algorithm::Estonian),
    row(Language::Finnish, "fi", Lang::Fin, Script::Latin, Algorithm::Finnish),
    row(Language::French, "fr", Lang::Fra, Script::Latin, Algorithm::French),
    row(Language::German, "de", Lang::Deu, Script::Latin, Algorithm::German),
    row(Language::Greek, "el", Lang::Ell, Script::Greek, Algorithm::Greek),
    row(Language::Hindi, "hi", Lang::Hin, Script::Devanagari, Algorithm::Hindi),
    row(
        Language::Hungarian,
        "hu",
        Lang::Hun,
        Script::Latin,
        Algorithm::Hungarian,
    ),
    row(
        Language::Indonesian,
        "id",
        Lang::Ind,
        Script::Latin,
        Algorithm::Indonesian,
    ),
    row(Language::Italian, "it", Lang::Ita, Script::Latin, Algorithm::Italian),
    row(
        Language::Lithuanian,
        "lt",
        Lang::Lit,
        Script::Latin,
        Algorithm::Lithuanian,
    ),
    row(
        Language::Norwegian,
        "nb",
        Lang::Nob,
        Script::Latin,
        Algorithm::Norwegian,
    ),
    row(Language::Persian, "fa", Lang::Pes, Script::Arabic, Algorithm::Persian),
    row(Language::Polish, "pl", Lang::Pol, Script::Latin, Algorithm::Polish),
    row(
        Language::Portuguese,
        "pt",
        Lang::Por,
        Script::Latin,
        Algorithm::Portuguese,
    ),
    row(Language::Romanian, "ro", Lang::Ron, Script::Latin, Algorithm::Romanian),
    row(Language::Russian, "ru", Lang::Rus, Script::Cyrillic, Algorithm::Russian),
    row(Language::Spanish, "es", Lang::Spa, Script::Latin, Algorithm::Spanish),
    row(Language::Swedish, "sv", Lang::Swe, Script::Latin, Algorithm::Swedish),
    row(Language::Tamil, "ta", Lang::Tam, Script::Tamil, Algorithm::Tamil),
    row(Language::Turkish, "tr", Lang::Tur, Script::Latin, Algorithm::Turkish),
    row(
        Language::Ukrainian,
        "uk",
        Lang::Ukr,
        Script::Cyrillic,
        Algorithm::Ukrainian,
    ),
    Row {
        language: Language::Vietnamese,
        code: "vi",
        lang: Lang::Vie,
        script: Script::Latin,
        algorithm: None,
    },
];

const UNDETERMINED: &str = "und";

impl Language {
    /// BCP 47.
    pub fn code(self) -> &'static str {
        self.row().map_or(UNDETERMINED, |row| row.code)
    }

    /// Of a code that this version does not know: [`Language::Undetermined`].
    pub fn from_code(code: &str) -> Self {
        ROWS.iter()
            .find(|row| row.code == code)
            .map_or(Self::Undetermined, |row| row.language)
    }

    /// Every language, [`Language::Undetermined`] first.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Undetermined).chain(ROWS.iter().map(|row| row.language))
    }

    /// What stems a word of this script in a document of this language: words of another script are stemmed by the most common
    /// language of that script, as English words in a Japanese text.
    pub(crate) fn algorithm(self, script: Script) -> Option<Algorithm> {
        if let Some(row) = self.row()
            && row.script == script
        {
            return row.algorithm;
        }
        match script {
            Script::Latin => Some(Algorithm::English),
            Script::Cyrillic => Some(Algorithm::Russian),
            Script::Arabic => Some(Algorithm::Arabic),
            Script::Greek => Some(Algorithm::Greek),
            Script::Devanagari => Some(Algorithm::Hindi),
            Script::Tamil => Some(Algorithm::Tamil),
            Script::Armenian => Some(Algorithm::Armenian),
            _ => None,
        }
    }

    pub(crate) fn of_lang(lang: Lang) -> Self {
        ROWS.iter()
            .find(|row| row.lang == lang)
            .map_or(Self::Undetermined, |row| row.language)
    }

    pub(crate) fn detectable() -> Vec<Lang> {
        ROWS.iter().map(|row| row.lang).collect()
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.language == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_name_one_language_each() {
        let codes: HashSet<&str> = Language::all().map(Language::code).collect();
        assert_eq!(codes.len(), Language::all().count());
        for language in Language::all() {
            assert_eq!(Language::from_code(language.code()), language);
        }
        assert_eq!(Language::from_code("tlh"), Language::Undetermined);
    }

    #[test]
    fn words_of_another_script_have_that_scripts_language() {
        assert_eq!(Language::German.algorithm(Script::Latin), Some(Algorithm::German));
        assert_eq!(Language::German.algorithm(Script::Cyrillic), Some(Algorithm::Russian));
        assert_eq!(
            Language::Ukrainian.algorithm(Script::Cyrillic),
            Some(Algorithm::Ukrainian)
        );
        assert_eq!(
            Language::Undetermined.algorithm(Script::Latin),
            Some(Algorithm::English)
        );
        assert_eq!(Language::Vietnamese.algorithm(Script::Latin), None);
        assert_eq!(Language::Undetermined.algorithm(Script::Hebrew), None);
    }
}
