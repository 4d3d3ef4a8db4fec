//! Searches by words in many languages, and rooms whose words older rules made.

use crate::host::{Host, UNDO_LANGUAGES, query};
use riad_core::{
    document::{NewChunk, NewDocument, Page, Position},
    ports::Room,
};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;

/// Every sentence is a document; each search has to find its own among all.
const SENTENCES: &[(&str, &str)] = &[
    ("zh-library", "我们的图书馆在星期天开放，学生可以免费借书。"),
    ("zh-train", "从北京到上海的高速铁路只需要四个半小时。"),
    ("zh-ai", "人工智能正在改变医院的诊断方式。"),
    ("zh-contract", "租赁合同的解约期限为三个月。"),
    ("zh-cat", "邻居家的小猫昨天走失了。"),
    ("ja-library", "東京都の図書館は日曜日も開いています。"),
    ("ja-server", "新しいサーバーの設定方法を説明します。"),
    ("ja-bread", "朝ごはんにパンと卵を食べました。"),
    ("ja-learning", "機械学習のモデルを訓練するには時間がかかる。"),
    ("ja-contract", "契約書に署名してから返送してください。"),
    ("th-library", "ห้องสมุดของเราเปิดวันอาทิตย์และนักเรียนสามารถยืมหนังสือได้ฟรี"),
    ("th-water", "น้ำประปาจะหยุดไหลในวันพรุ่งนี้"),
    ("th-contract", "สัญญาเช่ามีระยะเวลาสามปี"),
    ("th-hospital", "โรงพยาบาลอยู่ใกล้สถานีรถไฟ"),
    ("km-library", "បណ្ណាល័យរបស់យើងបើកនៅថ្ងៃអាទិត្យ"),
    ("km-hospital", "មន្ទីរពេទ្យនៅជិតផ្សារ"),
    ("lo-library", "ຫໍສະໝຸດຂອງພວກເຮົາເປີດໃນວັນອາທິດ"),
    ("my-library", "စာကြည့်တိုက်သည်တနင်္ဂနွေနေ့တွင်ဖွင့်သည်"),
    ("ko-school", "학교에서 도서관까지 걸어서 십 분 걸립니다."),
    ("ko-contract", "임대차 계약을 해지하려면 한 달 전에 알려야 합니다."),
    ("ko-house", "집은 강 옆에 있다."),
    ("ru-books", "Книги лежат на столе в библиотеке."),
    ("ru-hedgehogs", "Ёлка стоит посреди леса, под ней спят ежи."),
    ("uk-books", "Студенти читають книжки у великій бібліотеці."),
    ("el-people", "Οι άνθρωποι περιμένουν στον σταθμό."),
    ("ar-library", "الكتب الجديدة موجودة في المكتبة العامة."),
    ("ar-school", "ذهب أحمد إلى المدرسة مع مُعَلِّمِهِ."),
    ("fa-books", "دانشجویان کتاب‌ها را در کتابخانه می‌خوانند."),
    ("he-books", "הספרים החדשים נמצאים בספרייה."),
    ("hi-books", "किताबें पुस्तकालय में रखी हैं।"),
    ("de-houses", "Die Häuser am Fluss werden im Sommer gern besucht."),
    ("de-street", "Die Straße ist wegen Bauarbeiten gesperrt."),
    ("fr-horses", "Les chevaux courent librement dans la prairie."),
    ("fr-man", "L'homme a signé le contrat hier soir."),
    ("es-songs", "Las canciones populares se cantan en las fiestas."),
    (
        "pt-information",
        "As informações estão disponíveis na página principal.",
    ),
    ("it-libraries", "Le biblioteche restano chiuse la domenica."),
    ("tr-books", "Kitaplar kütüphanenin üst katında bulunuyor."),
    ("tr-city", "ISPARTA gülleriyle ünlü bir şehirdir."),
    ("sv-trains", "Tågen avgår från den norra stationen klockan åtta."),
    ("da-books", "Bøgerne står på den øverste hylde."),
    ("nl-books", "De boeken liggen op de houten tafel."),
    ("fi-books", "Uudet kirjat ovat kirjaston hyllyssä."),
    ("pl-books", "Książki leżą na drewnianym stole."),
    ("cs-books", "Knihy leží na dřevěném stole."),
    ("hu-books", "A könyvek az asztalon vannak."),
    ("ro-books", "Cărțile sunt pe masa din bibliotecă."),
    ("vi-books", "Những cuốn sách nằm trên bàn gỗ."),
    ("id-books", "Buku-buku itu dipinjam oleh para siswa."),
    (
        "en-connections",
        "All connections were closed before the server stopped.",
    ),
    ("en-cpp", "The driver is written in C++ and the tools in C#."),
    ("en-setting", "Set max_connections to 1,234 in the file."),
    ("en-mail", "Write an e-mail to jane.doe@example.com, please."),
    ("en-version", "Version 1.2.3 was released on 2024-05-06 \u{1f680}."),
    ("en-cafe", "The café sells crème brûlée; its Ｗｉ-Ｆｉ is free."),
    // Distractors: words near those that are searched.
    ("zh-other", "城市公园里有很多老人在散步。"),
    ("ja-other", "新しいパンツを買いました。"),
    ("th-other", "เขาเดินตามถนนไปตลาด"),
    ("ko-other", "중학생들이 운동장에서 뛰어논다."),
    ("de-other", "Der Zug fährt um acht Uhr vom Bahnhof ab."),
    (
        "en-other",
        "Version 2.3.1 of the user manual has 3 chapters and 2 pages.",
    ),
];

/// Text that is searched, and the sentence that must be first.
const FOUND: &[(&str, &str)] = &[
    ("图书馆", "zh-library"),
    ("学生", "zh-library"),
    ("高速铁路", "zh-train"),
    ("北京", "zh-train"),
    ("人工智能", "zh-ai"),
    ("医院诊断", "zh-ai"),
    ("解约期限", "zh-contract"),
    ("猫", "zh-cat"),
    ("東京", "ja-library"),
    ("図書館", "ja-library"),
    ("サーバ", "ja-server"),
    ("ｻｰﾊﾞｰ", "ja-server"),
    ("設定方法", "ja-server"),
    ("パン", "ja-bread"),
    ("機械学習", "ja-learning"),
    ("契約書", "ja-contract"),
    ("ห้องสมุด", "th-library"),
    ("นักเรียน", "th-library"),
    ("หนังสือ", "th-library"),
    ("น้ำ", "th-water"),
    ("สัญญาเช่า", "th-contract"),
    ("โรงพยาบาล", "th-hospital"),
    ("สถานีรถไฟ", "th-hospital"),
    ("បណ្ណាល័យ", "km-library"),
    ("មន្ទីរពេទ្យ", "km-hospital"),
    ("ຫໍສະໝຸດ", "lo-library"),
    ("စာကြည့်တိုက်", "my-library"),
    ("도서관", "ko-school"),
    ("학교", "ko-school"),
    ("계약", "ko-contract"),
    ("계약은", "ko-contract"),
    ("집", "ko-house"),
    ("книга", "ru-books"),
    ("столы", "ru-books"),
    ("елка", "ru-hedgehogs"),
    ("лес", "ru-hedgehogs"),
    ("студент", "uk-books"),
    ("άνθρωπος", "el-people"),
    ("ΣΤΑΘΜΟΣ", "el-people"),
    ("كتب", "ar-library"),
    ("المكتبات", "ar-library"),
    ("احمد", "ar-school"),
    ("معلم", "ar-school"),
    ("کتابخانه", "fa-books"),
    ("میخوانند", "fa-books"),
    ("ספרים חדשים", "he-books"),
    ("किताब", "hi-books"),
    ("Haus", "de-houses"),
    ("haeuser fluss", "de-houses"),
    ("STRASSE", "de-street"),
    ("Bauarbeit", "de-street"),
    ("cheval", "fr-horses"),
    ("homme", "fr-man"),
    ("contrats", "fr-man"),
    ("canción popular", "es-songs"),
    ("cancion", "es-songs"),
    ("informação", "pt-information"),
    ("informacoes", "pt-information"),
    ("biblioteca chiusa", "it-libraries"),
    ("kitap", "tr-books"),
    ("kütüphane", "tr-books"),
    ("isparta", "tr-city"),
    ("Isparta", "tr-city"),
    ("tåg", "sv-trains"),
    ("station", "sv-trains"),
    ("boger", "da-books"),
    ("boek", "nl-books"),
    ("kirja", "fi-books"),
    ("książka", "pl-books"),
    ("kniha", "cs-books"),
    ("könyv", "hu-books"),
    ("carte masă", "ro-books"),
    ("sach go", "vi-books"),
    ("buku", "id-books"),
    ("connection", "en-connections"),
    ("stopping servers", "en-connections"),
    ("C++", "en-cpp"),
    ("c#", "en-cpp"),
    ("max_connections", "en-setting"),
    ("1234", "en-setting"),
    ("1,234", "en-setting"),
    ("email", "en-mail"),
    ("jane.doe@example.com", "en-mail"),
    ("1.2.3", "en-version"),
    ("2024-05-06", "en-version"),
    ("🚀", "en-version"),
    ("cafe", "en-cafe"),
    ("creme brulee", "en-cafe"),
    ("wifi", "en-cafe"),
];

/// Text that is searched, and a sentence that must not be among what is found.
const NOT_FOUND: &[(&str, &str)] = &[
    ("书店", "zh-train"),
    ("公园", "zh-library"),
    ("学校", "zh-train"),
    ("京都", "zh-train"),
    ("カバン", "ja-bread"),
    ("ตา", "th-library"),
    ("โรงเรียน", "th-water"),
    ("학원", "ko-school"),
    ("книжный", "ru-hedgehogs"),
    ("Hausen", "de-street"),
    ("chevalier", "fr-man"),
    ("connect", "en-cpp"),
    ("C++", "en-other"),
    ("12", "en-setting"),
    ("123", "en-version"),
    ("emails", "en-cafe"),
    ("🏠", "en-version"),
    ("|", "zh-library"),
];

async fn filled() -> (Host, Room) {
    let host = Host::new().await;
    let room = host.room("acme").await;
    for (title, text) in SENTENCES {
        add_untitled(&room, title, text).await;
    }
    (host, room)
}

/// The name is not searched.
async fn add_untitled(room: &Room, name: &str, text: &str) {
    let document = NewDocument {
        title: String::new(),
        text: text.into(),
        metadata: crate::host::metadata(json!({"name": name})),
        file: None,
    };
    let chunk = NewChunk {
        text: text.into(),
        offset: 0,
        position: Position::default(),
        embedding: vec![1.0, 0.0, 0.0, 0.0],
    };
    room.documents.insert(document, vec![chunk], None).await.unwrap();
}

async fn names(room: &Room, text: &str) -> Vec<String> {
    let found = room.documents.search(&query(text, &[])).await.unwrap();
    found
        .iter()
        .map(|passage| passage.metadata["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn simple_searches_find_their_sentence_in_every_language() {
    let (_host, room) = filled().await;
    let mut wrong = Vec::new();
    for (text, expected) in FOUND {
        let found = names(&room, text).await;
        if found.first().map(String::as_str) != Some(expected) {
            wrong.push(format!("{text}: {expected} is not the first of {found:?}"));
        }
    }
    for (text, unexpected) in NOT_FOUND {
        let found = names(&room, text).await;
        if found.iter().any(|name| name == unexpected) {
            wrong.push(format!("{text}: {unexpected} is among {found:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        FOUND.len() + NOT_FOUND.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn a_word_is_found_whatever_other_languages_the_room_has() {
    let (_host, room) = filled().await;
    for (name, text) in SENTENCES {
        for word in text.split(|c: char| c.is_whitespace() || ",.;:!?。，、|".contains(c)) {
            let mut query = query(word, &[]);
            query.limit = 1_000;
            let found = room.documents.search(&query).await.unwrap();
            // A word of signs only, or a particle of one sound, is none.
            assert!(
                word.chars().filter(|c| c.is_alphanumeric()).count() < 2
                    || found.iter().any(|passage| passage.metadata["name"] == *name),
                "{name}: {word}"
            );
        }
    }
}

#[tokio::test]
async fn words_of_a_deleted_document_are_gone() {
    let (host, room) = filled().await;
    let all = Page {
        after: None,
        limit: 1_000,
    };
    for document in room.documents.list(&all).await.unwrap() {
        if document.metadata["name"].as_str().unwrap().starts_with("ja-") {
            room.documents.delete(&document.id).await.unwrap();
        }
    }
    for (text, expected) in FOUND {
        let found = names(&room, text).await;
        assert!(found.iter().all(|name| !name.starts_with("ja-")), "{text}: {found:?}");
        assert!(
            expected.starts_with("ja-") || found.first().map(String::as_str) == Some(expected),
            "{text}"
        );
    }
    let room_database = connect(host.data());
    room_database
        .execute_batch("INSERT INTO words (words) VALUES ('integrity-check')")
        .unwrap();
}

/// `room.db`, as somebody has it who has the file.
fn connect(data: &Path) -> Connection {
    #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
    Connection::open(data.join("rooms/acme/room.db")).unwrap()
}

async fn reopened(host: Host, change: &str) -> (Host, Room) {
    let host = host.reopen(|data| connect(data).execute_batch(change).unwrap()).await;
    let room = host.open(&host.pass("acme").await).await;
    (host, room)
}

async fn assert_all_is_found(room: &Room) {
    for (text, expected) in FOUND {
        assert_eq!(
            names(room, text).await.first().map(String::as_str),
            Some(*expected),
            "{text}"
        );
    }
}

#[tokio::test]
async fn words_of_an_older_room_are_made_again() {
    let (host, room) = filled().await;
    // More than one transaction makes again.
    for name in ["long-1", "long-2", "long-3"] {
        add_untitled(&room, name, &format!("{name} {}", "lamp ".repeat(100_000))).await;
    }
    drop(room);
    let older = format!(
        "{UNDO_LANGUAGES}
        INSERT INTO words (rowid, title, text) SELECT chunks.id, title, chunks.text
            FROM chunks JOIN documents ON documents.number = chunks.document;"
    );
    let (host, room) = reopened(host, &older).await;
    assert_all_is_found(&room).await;
    assert_eq!(names(&room, "lamps").await.len(), 3);
    drop(room);
    let shape = "SELECT count(*), count(language), min(language) FROM documents";
    let counts = connect(host.data())
        .query_row(shape, [], |row| Ok((row.get::<_, u16>(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    let documents = u16::try_from(SENTENCES.len() + 3).unwrap();
    assert_eq!(counts, (documents, documents, "ar".to_owned()));
}

#[tokio::test]
async fn words_of_other_rules_are_made_again() {
    let (host, room) = filled().await;
    drop(room);
    let (_host, room) = reopened(
        host,
        "INSERT INTO words (words) VALUES ('delete-all');
        INSERT INTO words (rowid, title, text, characters) VALUES (1, '', 'stale', ''), (1000, '', 'stale', '');
        UPDATE state SET value = '0' WHERE key = 'word_rules';
        INSERT INTO state VALUES ('word_progress', '0 7');",
    )
    .await;
    assert_all_is_found(&room).await;
    assert!(names(&room, "stale").await.is_empty());
}

#[tokio::test]
async fn making_words_again_goes_on_where_it_was_interrupted() {
    let (host, room) = filled().await;
    drop(room);
    // As a crash leaves it after the transaction of the first document, which has a word of ours instead of its own.
    let (host, room) = reopened(
        host,
        "INSERT INTO words (words) VALUES ('delete-all');
        INSERT INTO words (rowid, title, text, characters) VALUES (1, '', 'kept', '');
        DELETE FROM state WHERE key = 'word_rules';
        INSERT INTO state VALUES ('word_progress', '1 1');",
    )
    .await;
    assert_eq!(names(&room, "kept").await, [SENTENCES[0].0]);
    for (text, expected) in FOUND.iter().filter(|(_, name)| *name != SENTENCES[0].0) {
        assert_eq!(
            names(&room, text).await.first().map(String::as_str),
            Some(*expected),
            "{text}"
        );
    }
    drop(room);
    let states: Vec<String> = connect(host.data())
        .prepare("SELECT key || '=' || value FROM state WHERE key LIKE 'word%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(states, ["word_rules=1"]);
}
