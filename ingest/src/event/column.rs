//! Kinds of columns: how each is built, seen and printed.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, DictionaryArray, GenericListArray, ListBuilder,
    StringArray, StringBuilder, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder, UInt32Array, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit, TimestampMicrosecondType, UInt32Type};
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use super::names::{Names, Source};

/// Text that repeats little.
pub(super) struct Text;
/// Text that is never null.
pub(super) struct Key;
/// Text of few values, kept as a dictionary.
pub(super) struct Name;
/// Microseconds, UTC.
pub(super) struct Instant;
/// Yes or no.
pub(super) struct Flag;
/// A list of texts; an empty one is null.
pub(super) struct List;
/// A count.
pub(super) struct Number;

/// One kind of column. Views are optional at every `get` because a batch may lack the column.
pub(super) trait Column {
    type Builder;
    type Value<'a>;
    type View<'a>: Copy;
    type Seen<'a>;
    fn data_type() -> DataType;
    fn builder(rows: usize) -> Self::Builder;
    fn append(builder: &mut Self::Builder, value: Self::Value<'_>);
    /// Appends a value that hangs on `source` alone.
    fn append_from<'v>(
        builder: &mut Self::Builder,
        _source: Option<Source>,
        value: impl FnOnce() -> Self::Value<'v>,
    ) {
        Self::append(builder, value());
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef;
    fn view(array: &ArrayRef) -> Option<Self::View<'_>>;
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a>;
    fn json(seen: Self::Seen<'_>) -> Option<Value>;
}

impl Column for Text {
    type Builder = StringViewBuilder;
    type Value<'a> = Option<&'a str>;
    type View<'a> = &'a StringViewArray;
    type Seen<'a> = Option<&'a str>;
    fn data_type() -> DataType {
        DataType::Utf8View
    }
    fn builder(rows: usize) -> Self::Builder {
        StringViewBuilder::with_capacity(rows).with_fixed_block_size(block_bytes(rows))
    }
    fn append(builder: &mut Self::Builder, value: Option<&str>) {
        builder.append_option(value);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        array.as_string_view_opt()
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        view.filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
    fn json(seen: Self::Seen<'_>) -> Option<Value> {
        seen.map(Value::from)
    }
}

/// The size of the blocks that texts are copied to: few of them, and little waste for a small batch.
fn block_bytes(rows: usize) -> u32 {
    u32::try_from(rows.saturating_mul(64)).unwrap_or(u32::MAX).clamp(256, 1 << 20)
}

impl Column for Key {
    type Builder = StringViewBuilder;
    type Value<'a> = &'a str;
    type View<'a> = &'a StringViewArray;
    type Seen<'a> = &'a str;
    fn data_type() -> DataType {
        Text::data_type()
    }
    fn builder(rows: usize) -> Self::Builder {
        Text::builder(rows)
    }
    fn append(builder: &mut Self::Builder, value: &str) {
        builder.append_value(value);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Text::finish(builder)
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        Text::view(array)
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        Text::get(view, row).unwrap_or_default()
    }
    fn json(seen: &str) -> Option<Value> {
        (!seen.is_empty()).then(|| Value::from(seen))
    }
}

impl Column for Name {
    type Builder = Names;
    type Value<'a> = Option<&'a str>;
    type View<'a> = (&'a DictionaryArray<Int32Type>, &'a StringArray);
    type Seen<'a> = Option<&'a str>;
    fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }
    fn builder(rows: usize) -> Self::Builder {
        Names::with_capacity(rows)
    }
    fn append(builder: &mut Self::Builder, value: Option<&str>) {
        builder.append(value);
    }
    fn append_from<'v>(
        builder: &mut Self::Builder,
        source: Option<Source>,
        value: impl FnOnce() -> Option<&'v str>,
    ) {
        builder.append_from(source, value);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        builder.finish()
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        let names = array.as_dictionary_opt::<Int32Type>()?;
        Some((names, names.values().as_string_opt()?))
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        let (names, values) = view?;
        let key = names.key(row)?;
        values.is_valid(key).then(|| values.value(key))
    }
    fn json(seen: Self::Seen<'_>) -> Option<Value> {
        seen.map(Value::from)
    }
}

impl Column for Instant {
    type Builder = TimestampMicrosecondBuilder;
    type Value<'a> = Option<i64>;
    type View<'a> = &'a TimestampMicrosecondArray;
    type Seen<'a> = Option<i64>;
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }
    fn builder(rows: usize) -> Self::Builder {
        TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")
    }
    fn append(builder: &mut Self::Builder, value: Option<i64>) {
        builder.append_option(value);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        array.as_primitive_opt::<TimestampMicrosecondType>()
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        view.filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
    fn json(seen: Option<i64>) -> Option<Value> {
        let time = DateTime::from_timestamp_micros(seen?)?;
        Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
    }
}

impl Column for Flag {
    type Builder = BooleanBuilder;
    type Value<'a> = Option<bool>;
    type View<'a> = &'a BooleanArray;
    type Seen<'a> = Option<bool>;
    fn data_type() -> DataType {
        DataType::Boolean
    }
    fn builder(rows: usize) -> Self::Builder {
        BooleanBuilder::with_capacity(rows)
    }
    fn append(builder: &mut Self::Builder, value: Option<bool>) {
        builder.append_option(value);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        array.as_boolean_opt()
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        view.filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
    fn json(seen: Self::Seen<'_>) -> Option<Value> {
        seen.map(Value::from)
    }
}

impl Column for List {
    type Builder = ListBuilder<StringBuilder>;
    type Value<'a> = Cow<'a, [&'a str]>;
    type View<'a> = &'a GenericListArray<i32>;
    type Seen<'a> = Vec<&'a str>;
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
    }
    fn builder(rows: usize) -> Self::Builder {
        ListBuilder::with_capacity(StringBuilder::with_capacity(rows, rows * 64), rows)
    }
    fn append(builder: &mut Self::Builder, value: Cow<'_, [&str]>) {
        for text in value.iter() {
            builder.values().append_value(text);
        }
        builder.append(!value.is_empty());
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        array.as_list_opt().filter(|list| list.values().as_string_opt::<i32>().is_some())
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        let Some(list) = view.filter(|list| list.is_valid(row)) else { return Vec::new() };
        let Some(texts) = list.values().as_string_opt::<i32>() else { return Vec::new() };
        let bound = |at: usize| list.value_offsets().get(at).and_then(|offset| usize::try_from(*offset).ok());
        let (Some(start), Some(end)) = (bound(row), bound(row + 1)) else { return Vec::new() };
        (start..end).filter(|at| texts.is_valid(*at)).map(|at| texts.value(at)).collect()
    }
    fn json(seen: Vec<&str>) -> Option<Value> {
        (!seen.is_empty()).then(|| Value::from(seen))
    }
}

impl Column for Number {
    type Builder = UInt32Builder;
    type Value<'a> = Option<u32>;
    type View<'a> = &'a UInt32Array;
    type Seen<'a> = Option<u32>;
    fn data_type() -> DataType {
        DataType::UInt32
    }
    fn builder(rows: usize) -> Self::Builder {
        UInt32Builder::with_capacity(rows)
    }
    fn append(builder: &mut Self::Builder, value: Option<u32>) {
        builder.append_value(value.unwrap_or_default());
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: &ArrayRef) -> Option<Self::View<'_>> {
        array.as_primitive_opt::<UInt32Type>()
    }
    #[inline]
    fn get<'a>(view: Option<Self::View<'a>>, row: usize) -> Self::Seen<'a> {
        view.filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
    fn json(seen: Self::Seen<'_>) -> Option<Value> {
        seen.map(Value::from)
    }
}
