// OHIF's OpenID Connect options: authorization code with PKCE, no secret. The access
// token goes with every request of the data source, and is renewed before it expires.

/** OHIF's `oidc` list, or nothing when there is no login. */
export function login(oidc, origin) {
  if (!oidc) return {};
  const { authority, clientId, scope, cognito } = oidc;
  return {
    oidc: [
      {
        authority,
        client_id: clientId,
        scope,
        response_type: 'code',
        redirect_uri: '/callback',
        post_logout_redirect_uri: '/',
        automaticSilentRenew: true,
        revokeAccessTokenOnSignout: true,
        // Cognito's logout does not take OpenID Connect's own parameter.
        ...(cognito ? { extraQueryParams: { logout_uri: `${origin}/` } } : {}),
      },
    ],
  };
}
