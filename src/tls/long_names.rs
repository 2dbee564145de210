//! What people call the types of attributes in a name: OpenSSL's long names, which Python's `ssl`
//! took over.

use x509_cert::der::asn1::ObjectIdentifier;

use super::dotted::dotted;

/// The long name of a type of attribute, as OpenSSL spells it; `None` if it is not one that stands
/// in names.
pub(super) fn long_name(id: &ObjectIdentifier) -> Option<&'static str> {
    let dotted = dotted(id);
    let (arc, last) = dotted.rsplit_once('.')?;
    let last = last.parse::<u16>().ok()?;
    let (_, names) = LONG_NAMES.iter().find(|(of, _)| *of == arc)?;
    let (_, name) = names.iter().find(|(number, _)| *number == last)?;
    Some(name)
}

/// The last number of each identifier, by what stands before it.
const LONG_NAMES: &[(&str, &[(u16, &str)])] = &[
    // X.520 §6, RFC 4519 §2.
    (
        "2.5.4",
        &[
            (3, "commonName"),
            (4, "surname"),
            (5, "serialNumber"),
            (6, "countryName"),
            (7, "localityName"),
            (8, "stateOrProvinceName"),
            (9, "streetAddress"),
            (10, "organizationName"),
            (11, "organizationalUnitName"),
            (12, "title"),
            (13, "description"),
            (14, "searchGuide"),
            (15, "businessCategory"),
            (16, "postalAddress"),
            (17, "postalCode"),
            (18, "postOfficeBox"),
            (19, "physicalDeliveryOfficeName"),
            (20, "telephoneNumber"),
            (21, "telexNumber"),
            (22, "teletexTerminalIdentifier"),
            (23, "facsimileTelephoneNumber"),
            (24, "x121Address"),
            (25, "internationaliSDNNumber"),
            (26, "registeredAddress"),
            (27, "destinationIndicator"),
            (28, "preferredDeliveryMethod"),
            (29, "presentationAddress"),
            (30, "supportedApplicationContext"),
            (31, "member"),
            (32, "owner"),
            (33, "roleOccupant"),
            (34, "seeAlso"),
            (41, "name"),
            (42, "givenName"),
            (43, "initials"),
            (44, "generationQualifier"),
            (45, "x500UniqueIdentifier"),
            (46, "dnQualifier"),
            (47, "enhancedSearchGuide"),
            (48, "protocolInformation"),
            (49, "distinguishedName"),
            (50, "uniqueMember"),
            (51, "houseIdentifier"),
            (54, "dmdName"),
            (65, "pseudonym"),
            (72, "role"),
            (97, "organizationIdentifier"),
            (98, "countryCode3c"),
            (99, "countryCode3n"),
            (100, "dnsName"),
        ],
    ),
    // PKCS #9, RFC 2985 §5.
    (
        "1.2.840.113549.1.9",
        &[
            (1, "emailAddress"),
            (2, "unstructuredName"),
            (7, "challengePassword"),
            (8, "unstructuredAddress"),
        ],
    ),
    // RFC 4524 §2, and RFC 1274 §9.3 before it.
    (
        "0.9.2342.19200300.100.1",
        &[
            (1, "userId"),
            (2, "textEncodedORAddress"),
            (3, "rfc822Mailbox"),
            (4, "info"),
            (5, "favouriteDrink"),
            (6, "roomNumber"),
            (8, "userClass"),
            (9, "host"),
            (10, "manager"),
            (11, "documentIdentifier"),
            (12, "documentTitle"),
            (13, "documentVersion"),
            (14, "documentAuthor"),
            (15, "documentLocation"),
            (20, "homeTelephoneNumber"),
            (21, "secretary"),
            (22, "otherMailbox"),
            (23, "lastModifiedTime"),
            (24, "lastModifiedBy"),
            (25, "domainComponent"),
            (26, "aRecord"),
            (28, "mXRecord"),
            (29, "nSRecord"),
            (30, "sOARecord"),
            (31, "cNAMERecord"),
            (37, "associatedDomain"),
            (38, "associatedName"),
            (39, "homePostalAddress"),
            (40, "personalTitle"),
            (41, "mobileTelephoneNumber"),
            (42, "pagerTelephoneNumber"),
            (43, "friendlyCountryName"),
            (44, "uniqueIdentifier"),
            (45, "organizationalStatus"),
            (46, "janetMailbox"),
            (47, "mailPreferenceOption"),
            (48, "buildingName"),
            (56, "documentPublisher"),
        ],
    ),
    // The CA/Browser Forum's EV Guidelines §9.2.4.
    (
        "1.3.6.1.4.1.311.60.2.1",
        &[
            (1, "jurisdictionLocalityName"),
            (2, "jurisdictionStateOrProvinceName"),
            (3, "jurisdictionCountryName"),
        ],
    ),
    // RFC 3739 §3.2.2.
    (
        "1.3.6.1.5.5.7.9",
        &[
            (1, "id-pda-dateOfBirth"),
            (2, "id-pda-placeOfBirth"),
            (3, "id-pda-gender"),
            (4, "id-pda-countryOfCitizenship"),
            (5, "id-pda-countryOfResidence"),
        ],
    ),
    // Numbers of persons and firms in Russia.
    ("1.2.643.100", &[(1, "OGRN"), (3, "SNILS"), (5, "OGRNIP")]),
    ("1.2.643.3.131.1", &[(1, "INN")]),
];
